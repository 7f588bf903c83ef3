#include "models/classifier.h"

#include <algorithm>

#include "core/autograd.h"
#include "core/text.h"
#include "layers/batch_norm.h"
#include "layers/dropout.h"
#include "layers/init.h"

namespace graft {
namespace {

// Winograd takes four images in one call (kernels/cpu/conv2d_fprop.cpp), and the bits of a call
// depend on their number: parts are multiples of four, or smaller.
constexpr int64_t kImagesAtATime = 8;

// As many rows as wanted, the first one again in place of those that lack.
Tensor filled_up(const Tensor& x, int64_t rows) {
  const int64_t n = x.dim(0);
  if (n == rows) return x;
  Shape shape = x.shape();
  shape[0] = rows;
  Tensor full(shape, x.dtype(), x.device());
  full.rows(0, n).copy_from(x);
  for (int64_t row = n; row < rows; ++row) full.rows(row, row + 1).copy_from(x.rows(0, 1));
  return full;
}

}  // namespace

size_t Classifier::fixed_steps() { return fixed_steps(steps()); }

size_t Classifier::fixed_steps(const Steps& steps) {
  size_t fixed = steps.size();
  auto varies = [&](const std::string& path) {
    for (size_t i = 0; i < fixed; ++i)
      if (runs(steps[i], path)) fixed = i;
  };
  each_param(*this, [&](const std::string& path, Param& p) {
    if (recording({&p})) varies(path);
  });
  each_module(*this, [&](const std::string& path, Module& m) {
    auto* norm = dynamic_cast<BatchNorm2d*>(&m);
    auto* dropout = dynamic_cast<Dropout*>(&m);
    if ((norm && norm->uses_batch_statistics()) ||
        (dropout && dropout->training() && dropout->p > 0))
      varies(path);
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

Tensor Classifier::run(const Steps& steps, size_t begin, size_t end, Tensor x) const {
  for (size_t i = begin; i < end; ++i) x = steps[i].run(std::move(x));
  return x;
}

Tensor Classifier::run_in_parts(const Steps& steps, size_t begin, size_t end, Tensor x) const {
  const int64_t n = x.rank() > 0 ? x.dim(0) : 0;
  const int64_t part = part_ ? part_ : kImagesAtATime;
  const bool whole = part_ ? n == part : n <= part || device_ != Device::cpu;
  if (begin == end || n == 0 || whole || recording({&x}))
    return run(steps, begin, end, std::move(x));
  Tensor features;
  for (int64_t first = 0; first < n; first += part) {
    int64_t last = std::min(first + part, n);
    Tensor images = x.rows(first, last);
    Tensor y = run(steps, begin, end, part_ ? filled_up(images, part) : images);
    if (!features.defined()) {
      Shape shape = y.shape();
      shape[0] = n;
      features = Tensor(shape, y.dtype(), y.device());
    }
    features.rows(first, last).copy_from(y.rows(0, last - first));
  }
  return features;
}

int64_t Classifier::part_for(int64_t batch) const {
  if (device_ != Device::cpu || batch < 4) return batch;
  const int64_t over = batch % kImagesAtATime;
  return over > 0 && over <= 4 ? 4 : kImagesAtATime;
}

Tensor Classifier::trunk(Tensor x) {
  const Steps all = steps();
  return run(all, 0, all.size(), std::move(x));
}

Tensor Classifier::begin(Tensor x, size_t end) {
  return run_in_parts(steps(), 0, end, std::move(x));
}

Tensor Classifier::trunk_in_parts(Tensor x, size_t begin) {
  const Steps all = steps();
  const size_t fixed = std::max(begin, fixed_steps(all));
  return run(all, fixed, all.size(), run_in_parts(all, begin, fixed, std::move(x)));
}

Tensor Classifier::forward(Tensor x) { return head(hidden(trunk_in_parts(std::move(x)))); }

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
  initialize_new_head(head_layer(), seed);
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
