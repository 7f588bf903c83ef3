// MNASNet-B1 (Tan et al., CVPR 2019) in four widths.
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/residual.h"
#include "models/chain.h"
#include "models/conv_block.h"
#include "models/families.h"

namespace graft {
namespace {

constexpr float kMomentum = 1 - 0.9997f;  // of every norm; the paper counts it the other way

struct Stage {
  int kernel, stride, expand, width, blocks;
};
constexpr Stage kStages[] = {{3, 2, 3, 24, 3}, {5, 2, 3, 40, 3},  {5, 2, 6, 80, 3},
                             {3, 1, 6, 96, 2}, {5, 2, 6, 192, 4}, {3, 1, 6, 320, 1}};
constexpr int kFeatures = 1280;

// Convolution, norm and, if asked for, ReLU as three more layers.
void add_conv(Sequential& to, int64_t in, int64_t out, Conv2dOptions options, bool relu) {
  options.bias = false;
  to.add(Conv2d(in, out, options)).add(BatchNorm2d(out, 1e-5f, kMomentum));
  if (relu) to.add(relu_layer());
}

void add_depthwise(Sequential& to, int64_t channels, int kernel, int stride) {
  add_conv(to, channels, channels,
           {.kernel = kernel, .stride = stride, .padding = kernel / 2, .groups = int(channels)},
           true);
}

Residual block(int64_t in, int64_t out, const Stage& stage, int stride) {
  const int64_t wide = in * stage.expand;
  Sequential layers;
  add_conv(layers, in, wide, {}, true);
  add_depthwise(layers, wide, stage.kernel, stride);
  add_conv(layers, wide, out, {}, false);
  return Residual("layers", std::move(layers), stride == 1 && in == out);
}

std::unique_ptr<Classifier> make(double width, int64_t classes) {
  const int64_t stem = multiple_of_8(32 * width);
  int64_t channels = multiple_of_8(16 * width);
  Sequential layers, classifier;
  add_conv(layers, 3, stem, {.kernel = 3, .stride = 2, .padding = 1}, true);
  add_depthwise(layers, stem, 3, 1);
  add_conv(layers, stem, channels, {}, false);
  for (const Stage& stage : kStages) {
    const int64_t out = multiple_of_8(stage.width * width);
    Sequential blocks;
    for (int i = 0; i < stage.blocks; ++i) {
      blocks.add(block(channels, out, stage, i == 0 ? stage.stride : 1));
      channels = out;
    }
    layers.add(std::move(blocks));
  }
  add_conv(layers, channels, kFeatures, {}, true);
  classifier.add(Dropout(0.2f)).add(Linear(kFeatures, classes));
  return std::make_unique<Chain>(Chain::Part{"layers", std::move(layers)},
                                 Chain::Part{"classifier", std::move(classifier)});
}

ZooRow row(const char* name, double width, int64_t parameters, int resize) {
  return {name, [=](int64_t classes) { return make(width, classes); }, parameters,
          {.resize = resize}};
}

}  // namespace

std::span<const ZooRow> mnasnet_rows() {
  static const ZooRow rows[] = {
      row("mnasnet0_5", 0.5, 2218512, 256),
      row("mnasnet0_75", 0.75, 3170208, 232),
      row("mnasnet1_0", 1.0, 4383312, 256),
      row("mnasnet1_3", 1.3, 6282256, 232),
  };
  return rows;
}

}  // namespace graft
