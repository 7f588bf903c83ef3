#include "models/outputs.h"

#include <cmath>
#include <limits>

#include "core/ops.h"

namespace graft {
namespace {

Tensor here(const Tensor& logits) { return logits.to(Device::cpu).to(DType::f32); }

Batch mirrored(const Batch& batch) {
  Tensor images = batch.images.clone(Device::cpu);
  mirror(images.mutable_data<uint8_t>(), int(images.dim(2)), images.dim(0) * images.dim(1));
  return {images, batch.labels, {}};
}

}  // namespace

Views views_named(const std::string& name) {
  if (name == "none") return Views::one;
  if (name == "flip") return Views::flip;
  fail(Fault::usage, "--tta: '{}' is unknown; use none or flip", name);
}

Tensor outputs_of(Classifier& model, const Batch& batch, const TrunkInputOf& input, Views views) {
  Tensor logits = here(logits_of(model, batch, input));
  if (views == Views::one) return logits;
  Tensor one = softmax(logits), two = softmax(here(logits_of(model, mirrored(batch))));
  Tensor result(logits.shape());
  for (int64_t i = 0; i < result.size(); ++i) {
    const float mean = (one.data()[i] + two.data()[i]) / 2;
    result.mutable_data()[i] = std::log(std::max(mean, std::numeric_limits<float>::min()));
    if (std::isnan(mean))
      result.mutable_data()[i] = mean;  // broken weights are for others to report
  }
  return result;
}

}  // namespace graft
