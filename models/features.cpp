#include "models/features.h"

#include "core/autograd.h"
#include "core/ops.h"

namespace graft {
namespace {

Tensor normalized(const Classifier& model, const Tensor& pixels) {
  const Preprocess& p = model.preprocess;
  return normalize(pixels.to(model.device()), p.scale, p.mean, p.std, p.bgr, model.activations());
}

}  // namespace

Tensor input_of(const Classifier& model, const Batch& batch) {
  return normalized(model, batch.images);
}

TrunkInput trunk_input(const Batch& batch, const TrunkInputOf& input) {
  if (input) return input(batch);
  GRAFT_CHECK(batch.images.defined() &&
                  (!batch.labels.defined() || batch.images.dim(0) == batch.labels.size()),
              "features: a batch without the pixels of some of its samples");
  return {batch.images};
}

Tensor trunk_of(Classifier& model, const TrunkInput& input) {
  const bool pixels = input.values.dtype() == DType::u8;
  Tensor x = pixels ? normalized(model, input.values) : input.values.to(model.device());
  return model.trunk_in_parts(std::move(x), input.begin);
}

Tensor logits_of(Classifier& model, const TrunkInput& input) {
  return model.head(model.hidden(trunk_of(model, input)));
}

Tensor logits_of(Classifier& model, const Batch& batch, const TrunkInputOf& input) {
  return logits_of(model, trunk_input(batch, input));
}

void require_fixed_features(Classifier& model) {
  each_param(model, [&](const std::string& path, Param& p) {
    if (p.requires_grad() && !path.starts_with(model.head_path() + "."))
      fail(Fault::usage, "features cannot be computed once: {} learns; freeze all but the head", path);
  });
}

Features compute_features(Classifier& model, Loader& loader, int64_t images,
                          const std::function<bool()>& stop, const TrunkInputOf& input) {
  NoGrad no_grad;
  model.eval();
  require_fixed_features(model);
  Features all{{}, Tensor({images}, DType::i32)};
  int64_t n = 0;
  loader.start(0);
  for (Batch batch; loader.next(batch);) {
    Tensor part = model.hidden(trunk_of(model, trunk_input(batch, input)));
    part = part.to(Device::cpu).to(DType::f32);
    if (!all.values.defined()) {
      Shape shape = part.shape();
      shape[0] = images;
      all.values = Tensor(shape);
    }
    int64_t end = n + part.dim(0);
    all.values.rows(n, end).copy_from(part);
    all.labels.rows(n, end).copy_from(batch.labels);
    n = end;
    if (stop && stop()) break;
  }
  GRAFT_CHECK(n > 0, "features: no image could be used");
  return {all.values.rows(0, n), all.labels.rows(0, n)};
}

}  // namespace graft
