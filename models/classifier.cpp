#include "models/classifier.h"

#include <algorithm>

#include "core/autograd.h"
#include "core/text.h"
#include "layers/batch_norm.h"
#include "layers/dropout.h"
#include "layers/init.h"

namespace graft {
namespace {

constexpr int64_t kImagesAtATime = 8;

}  // namespace

bool Classifier::trunk_is_fixed() {
  bool fixed = true;
  each_param(*this, [&](const std::string& path, Param& p) {
    fixed &= !in_trunk(path) || !recording({&p});
  });
  each_module(*this, [&](const std::string& path, Module& m) {
    auto* norm = dynamic_cast<BatchNorm2d*>(&m);
    auto* dropout = dynamic_cast<Dropout*>(&m);
    bool varies = (norm && norm->uses_batch_statistics()) ||
                  (dropout && dropout->training() && dropout->p > 0);
    fixed &= !in_trunk(path) || !varies;
  });
  return fixed;
}

void Classifier::place(Device device, DType activations) {
  if (device == Device::cpu && activations != DType::f32)
    fail(Fault::unavailable, "activations of type {} need a CUDA device", name_of(activations));
  move_to(*this, device);
  device_ = device;
  activations_ = activations;
}

Tensor Classifier::forward(Tensor x) { return head(hidden(trunk_in_parts(std::move(x)))); }

Tensor Classifier::trunk_in_parts(Tensor x) {
  int64_t n = x.rank() > 0 ? x.dim(0) : 0;
  if (n <= kImagesAtATime || device_ != Device::cpu || recording({&x}) || !trunk_is_fixed()) return trunk(std::move(x));
  Tensor features;
  for (int64_t first = 0; first < n; first += kImagesAtATime) {
    int64_t end = std::min(first + kImagesAtATime, n);
    Tensor part = trunk(x.rows(first, end));
    if (!features.defined()) {
      Shape shape = part.shape();
      shape[0] = n;
      features = Tensor(shape);
    }
    features.rows(first, end).copy_from(part);
  }
  return features;
}

int64_t Classifier::classes() { return class_weights(head_layer()).dim(0); }

int64_t Classifier::head_inputs() { return feature_weights(head_layer()).dim(-1); }

std::string Classifier::class_weights_path() const {
  return head_path() + "." + class_weights_name(form_);
}

void Classifier::make_head(int64_t classes) {
  set_head(make_head_layer(form_, head_inputs(), classes, head_is_filter()));
}

void Classifier::form_head(const HeadForm& form) {
  const int64_t as_many = classes();
  form_ = form;
  make_head(as_many);
  architecture = architecture.substr(0, architecture.find('+'));
  if (form != HeadForm{}) architecture += "+" + form.text();
}

void Classifier::replace_head(int64_t classes, uint64_t seed, const HeadForm& form) {
  if (form != form_) form_head(form);
  replace_head(classes, seed);
}

void Classifier::replace_head(int64_t classes, uint64_t seed) {
  GRAFT_CHECK(classes > 0, "replace_head: {} classes", classes);
  bool was_training = training();
  make_head(classes);
  head_layer().train(was_training);
  initialize_head(head_layer(), seed);
  move_to(head_layer(), device_);
  class_names.clear();
  class_ids.clear();
}

void Classifier::end_after(const std::string& stage) {
  std::vector<std::string> known = stages();
  auto found = std::find(known.begin(), known.end(), stage);
  if (found == known.end())
    fail(Fault::usage, "{} cannot end after '{}'; {}", architecture, stage,
         known.empty() ? "it ends where it ends" : "it can after " + enumerate(known));
  int64_t outputs = classes();
  drop_behind(size_t(found - known.begin()));
  make_head(outputs);
}

void initialize(Classifier& model, uint64_t seed) {
  initialize(static_cast<Module&>(model), seed);
  each_module(model, [&](const std::string& path, Module& m) {
    if (path == model.head_path()) initialize_head(m, seed);
  });
}

void freeze(Classifier& model, const FreezePlan& plan) { freeze(model, plan, model.head_path()); }

void freeze(Classifier& model, const std::string& plan) { freeze(model, FreezePlan::parse(plan)); }

}  // namespace graft
