// MobileNetV2 (Sandler et al., CVPR 2018): inverted residuals, wide inside and narrow outside.
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/residual.h"
#include "models/chain.h"
#include "models/conv_block.h"
#include "models/families.h"

namespace graft {
namespace {

struct Stage {
  int expand, width, blocks, stride;
};
constexpr Stage kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                             {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
constexpr int kFeatures = 1280;

Residual block(int64_t in, int64_t out, int expand, int stride) {
  const int64_t wide = in * expand;
  Sequential conv;
  if (expand > 1) conv.add(conv_block(in, wide, Activation::relu6));
  conv.add(conv_block(wide, wide, Activation::relu6,
                      {.kernel = 3, .stride = stride, .groups = int(wide)}));
  conv.add(Conv2d(wide, out, {.bias = false})).add(BatchNorm2d(out));
  return Residual("conv", std::move(conv), stride == 1 && in == out);
}

std::unique_ptr<Classifier> make(int64_t classes) {
  Sequential features, classifier;
  int64_t channels = 32;
  features.add(conv_block(3, channels, Activation::relu6, {.kernel = 3, .stride = 2}));
  for (const Stage& stage : kStages)
    for (int i = 0; i < stage.blocks; ++i) {
      features.add(block(channels, stage.width, stage.expand, i == 0 ? stage.stride : 1));
      channels = stage.width;
    }
  features.add(conv_block(channels, kFeatures, Activation::relu6));
  classifier.add(Dropout(0.2f)).add(Linear(kFeatures, classes));
  return std::make_unique<Chain>(Chain::Part{"features", std::move(features)},
                                 Chain::Part{"classifier", std::move(classifier)});
}

}  // namespace

std::span<const ZooRow> mobilenet_v2_rows() {
  static const ZooRow rows[] = {{"mobilenet_v2", make, 3504872, {.resize = 232}}};
  return rows;
}

}  // namespace graft
