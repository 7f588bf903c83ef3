#include "models/mixed_batch.h"

#include <algorithm>

namespace graft {
namespace {

Tensor numbers(const std::vector<int32_t>& values) {
  return Tensor::from<int32_t>({int64_t(values.size())}, values);
}

}  // namespace

MixTensors tensors_of(const Mix& mix, const Tensor& labels) {
  const int64_t n = labels.size();
  auto known = [n](int64_t partner) { return partner >= 0 && partner < n; };
  GRAFT_CHECK(std::all_of(mix.partners.begin(), mix.partners.end(), known),
              "mix: a partner is none of the {} images", n);
  MixTensors t;
  t.pixels.partners = numbers({mix.partners.begin(), mix.partners.end()});
  t.pixels.share = Tensor::full({}, mix.patch ? 1 : mix.share);
  t.pixels.box = numbers({mix.box.x0, mix.box.y0, mix.box.x1, mix.box.y1});
  t.labels = partners_of(labels, mix);
  t.share = Tensor::full({}, mix.share);
  t.rest = Tensor::full({}, 1 - mix.share);
  return t;
}

Tensor mixed_input(const Classifier& model, const Tensor& pixels, const PixelMix& mix) {
  const Preprocess& p = model.preprocess;
  const Normalization n{
      p.scale, {p.mean[0], p.mean[1], p.mean[2]}, {p.std[0], p.std[1], p.std[2]}, p.bgr};
  return normalize_mixed(pixels, n, mix, model.activations());
}

Tensor mixed_loss(const Tensor& logits, const Tensor& labels, const MixTensors& mix,
                  const CrossEntropySpec& spec) {
  return add(scale(cross_entropy(logits, labels, spec), mix.share),
             scale(cross_entropy(logits, mix.labels, spec), mix.rest));
}

}  // namespace graft
