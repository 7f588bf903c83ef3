// Images that are two in one: the pixels, bit for bit as they are by separate operations, and the
// loss of both labels.
#include <gtest/gtest.h>

#include <cstring>

#include "models/mixed_batch.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

const Normalization kNormalization{
    1.0f / 255, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, false};
const Normalization kBgr{0.0123f, {1, 2, 3}, {0.5f, 0.6f, 0.7f}, true};

Tensor pixels_of(const Shape& shape) {
  Tensor pixels(shape, DType::u8);
  Random random(1, "pixels");
  for (int64_t i = 0; i < pixels.size(); ++i)
    pixels.mutable_data<uint8_t>()[i] = uint8_t(random.next());
  return pixels;
}

Tensor normalized(const Tensor& pixels, const Normalization& n) {
  return normalize(pixels, n.scale, {n.mean[0], n.mean[1], n.mean[2]},
                   {n.std[0], n.std[1], n.std[2]}, n.bgr);
}

Tensor with_patches(const Tensor& pixels, const Mix& mix) {
  Tensor result = pixels.clone();
  const int64_t height = pixels.dim(1), width = pixels.dim(2);
  for (size_t i = 0; i < mix.partners.size(); ++i)
    for (int y = mix.box.y0; y < mix.box.y1; ++y) {
      auto at = [&](int64_t image) { return ((image * height + y) * width + mix.box.x0) * 3; };
      std::memcpy(result.mutable_data<uint8_t>() + at(int64_t(i)),
                  pixels.data<uint8_t>() + at(mix.partners[i]), size_t(mix.box.width()) * 3);
    }
  return result;
}

Tensor sum_of(const Tensor& own, const Tensor& partners, const Mix& mix) {
  return add(scale(own, mix.share), scale(partners, 1 - mix.share));
}

TEST(MixedPixels, AreSumsAndPatches) {
  for (const Shape& shape : {Shape{1, 1, 1, 3}, {2, 5, 7, 3}, {5, 16, 16, 3}, {3, 40, 33, 3}})
    for (const Normalization& n : {kNormalization, kBgr})
      for (uint64_t step = 0; step < 6; ++step) {
        const int side = int(std::min(shape[1], shape[2]));
        const Mix mix =
            draw_mix({.mixup = 0.4, .cutmix = 1}, shape[0], side, Random(3, "mix", step));
        const Tensor pixels = pixels_of(shape);
        const Tensor want =
            mix.patch ? normalized(with_patches(pixels, mix), n)
                      : sum_of(normalized(pixels, n), normalized(partners_of(pixels, mix), n), mix);
        const MixTensors t = tensors_of(mix, labels_of(shape[0], 4));
        EXPECT_TRUE(same_bits(normalize_mixed(pixels, n, t.pixels), want)) << step;
      }
}

TEST(MixedPixels, PatchesHaveTheShareThatIsTold) {
  constexpr int side = 20, n = 3, values = side * side * 3;
  Tensor pixels({n, side, side, 3}, DType::u8);
  for (int64_t i = 0; i < pixels.size(); ++i)
    pixels.mutable_data<uint8_t>()[i] = uint8_t(i / values);
  for (uint64_t step = 0; step < 20; ++step) {
    const Mix mix = draw_mix({.cutmix = 1}, n, side, Random(3, "mix", step));
    ASSERT_TRUE(mix.patch);
    const Normalization as_they_are{1, {0, 0, 0}, {1, 1, 1}};
    const Tensor mixed =
        normalize_mixed(pixels, as_they_are, tensors_of(mix, labels_of(n, 2)).pixels);
    for (int64_t i = 0; i < n; ++i) {
      int64_t own = 0, partner = 0;
      for (int64_t k = 0; k < values; ++k) {
        const auto image = int64_t(mixed.data()[i * values + k]);
        own += image == i, partner += image == mix.partners[size_t(i)];
      }
      EXPECT_EQ(own + partner, values * (mix.partners[size_t(i)] == i ? 2 : 1));
      if (mix.partners[size_t(i)] != i) {
        EXPECT_NEAR(double(own) / values, mix.share, 1e-6);
      }
    }
  }
}

TEST(MixedPixels, OfAnotherShapeAreRefused) {
  const MixTensors t = tensors_of({.share = 0.5f, .partners = {1, 0}}, labels_of(2, 2));
  auto message = [&](const Shape& shape) {
    return error_of([&] { normalize_mixed(pixels_of(shape), kNormalization, t.pixels); },
                    Fault::data);
  };
  EXPECT_NE(message({3, 4, 4, 3}).find("partners [2]"), std::string::npos);
  EXPECT_NE(message({2, 4, 4, 1}).find("[2, 4, 4, 1]"), std::string::npos);
  EXPECT_NE(error_of(
                [] {
                  tensors_of({.share = 1, .partners = {0, 2}}, labels_of(2, 2));
                },
                Fault::data)
                .find("partner"),
            std::string::npos);
}

TEST(MixedLoss, IsThatOfBothLabels) {
  const Mix mix{.share = 0.3f, .partners = {2, 0, 1}};
  const Tensor logits = normal({3, 4}, 1).requires_grad(true), labels = labels_of(3, 4);
  const CrossEntropySpec spec{.label_smoothing = 0.1f, .class_weights = uniform({4}, 2, 0.5f, 2)};
  const Tensor loss = mixed_loss(logits, labels, tensors_of(mix, labels), spec);
  loss.backward();
  const Tensor again = logits.clone().requires_grad(true);
  const Tensor want = sum_of(cross_entropy(again, labels, spec),
                             cross_entropy(again, partners_of(labels, mix), spec), mix);
  want.backward();
  EXPECT_TRUE(same_bits(loss, want));
  EXPECT_TRUE(same_bits(logits.grad(), again.grad()));
}

}  // namespace
}  // namespace graft
