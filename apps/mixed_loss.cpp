#include "apps/mixed_loss.h"

namespace graft::app {
namespace {

Tensor sum_of(const Tensor& own, const Tensor& partners, const Mix& mix) {
  return add(scale(own, mix.share), scale(partners, 1 - mix.share));
}

Tensor mixed_input(const Classifier& model, const Batch& batch, const Mix& mix) {
  if (mix.patch) return input_of(model, {with_patches(batch.images, mix), {}, {}});
  return sum_of(input_of(model, batch), input_of(model, {partners_of(batch.images, mix), {}, {}}),
                mix);
}

}  // namespace

Tensor mixed_loss(Classifier& model, const Batch& batch, const Mix& mix,
                  const CrossEntropySpec& spec) {
  Tensor logits = model(mixed_input(model, batch, mix));
  auto loss = [&](const Tensor& labels) {
    return cross_entropy(logits, labels.to(model.device()), spec);
  };
  return sum_of(loss(batch.labels), loss(partners_of(batch.labels, mix)), mix);
}

}  // namespace graft::app
