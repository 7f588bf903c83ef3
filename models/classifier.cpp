#include "models/classifier.h"

#include "layers/conv2d.h"
#include "layers/init.h"
#include "layers/linear.h"

namespace graft {
namespace {

int64_t outputs(Module& head) {
  if (auto* conv = dynamic_cast<Conv2d*>(&head)) return conv->weight.dim(0);
  return dynamic_cast<Linear&>(head).weight.dim(0);
}

}  // namespace

int64_t Classifier::classes() { return outputs(head_layer()); }

void Classifier::replace_head(int64_t classes, uint64_t seed) {
  GRAFT_CHECK(classes > 0, "replace_head: {} classes", classes);
  bool was_training = training();
  make_head(classes);
  head_layer().train(was_training);
  initialize_head(head_layer(), seed);
  class_names.clear();
  class_ids.clear();
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
