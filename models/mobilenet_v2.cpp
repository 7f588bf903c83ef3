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
constexpr ConvBlock kKeras{.eps = 1e-3f, .momentum = 0.001f, .same = true};

// Of `like` only norm and padding are read.
Sequential conv(int64_t in, int64_t out, ConvBlock like, int kernel = 1, int stride = 1,
                int groups = 1) {
  like.kernel = kernel, like.stride = stride, like.groups = groups;
  return conv_block(in, out, Activation::relu6, like);
}

Residual block(int64_t in, int64_t out, int expand, int stride, const ConvBlock& like) {
  const int64_t wide = in * expand;
  Sequential branch;
  if (expand > 1) branch.add(conv(in, wide, like));
  branch.add(conv(wide, wide, like, 3, stride, int(wide)));
  branch.add(Conv2d(wide, out, {.bias = false})).add(BatchNorm2d(out, like.eps, like.momentum));
  return Residual("conv", std::move(branch), stride == 1 && in == out);
}

std::unique_ptr<Classifier> make(int64_t classes, const ConvBlock& like = {}) {
  Sequential features, classifier;
  int64_t channels = 32;
  features.add(conv(3, channels, like, 3, 2));
  for (const Stage& stage : kStages)
    for (int i = 0; i < stage.blocks; ++i) {
      features.add(block(channels, stage.width, stage.expand, i == 0 ? stage.stride : 1, like));
      channels = stage.width;
    }
  features.add(conv(channels, kFeatures, like));
  classifier.add(Dropout(0.2f)).add(Linear(kFeatures, classes));
  return std::make_unique<Chain>(Chain::Part{"features", std::move(features)},
                                 Chain::Part{"classifier", std::move(classifier)});
}

}  // namespace

std::span<const ZooRow> mobilenet_v2_rows() {
  static const ZooRow rows[] = {
      {"mobilenet_v2", [](int64_t classes) { return make(classes); }, 3504872, {.resize = 232}},
      {"mobilenet_v2_keras", [](int64_t classes) { return make(classes, kKeras); }, 3504872,
       centred({}), 1000, nullptr, kOddSide},
  };
  return rows;
}

}  // namespace graft
