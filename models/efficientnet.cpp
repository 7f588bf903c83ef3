// EfficientNet (Tan & Le, ICML 2019) and EfficientNetV2 (ICML 2021): inverted residuals with
// squeeze and excitation; in V2 the first stages have one full 3x3 in place of 1x1 and depthwise.
#include <cmath>
#include <vector>

#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/residual.h"
#include "layers/squeeze_excite.h"
#include "models/chain.h"
#include "models/conv_block.h"
#include "models/families.h"

namespace graft {
namespace {

constexpr auto kSilu = Activation::silu;
constexpr float kMostDropped = 0.2f;  // stochastic depth of the last block; from 0 it grows evenly

struct Stage {
  bool fused;
  int expand, kernel, stride, in, out, blocks;
};

struct Table {
  std::vector<Stage> stages;
  int features;          // channels before the head
  float dropout;
  ConvBlock like;        // only its norm and padding are read
};

// The stages of B0, wider and deeper.
Table scaled(double width, double depth, float dropout, ConvBlock like = {}) {
  Table table{{{false, 1, 3, 1, 32, 16, 1}, {false, 6, 3, 2, 16, 24, 2},
               {false, 6, 5, 2, 24, 40, 2}, {false, 6, 3, 2, 40, 80, 3},
               {false, 6, 5, 1, 80, 112, 3}, {false, 6, 5, 2, 112, 192, 4},
               {false, 6, 3, 1, 192, 320, 1}}, 0, dropout, like};
  for (Stage& stage : table.stages) {
    stage.in = int(multiple_of_8(stage.in * width));
    stage.out = int(multiple_of_8(stage.out * width));
    stage.blocks = int(std::ceil(stage.blocks * depth));
  }
  table.features = 4 * table.stages.back().out;
  return table;
}

Sequential conv(const Table& table, int64_t in, int64_t out, Activation activation,
                ConvBlock b = {}) {
  b.eps = table.like.eps, b.momentum = table.like.momentum, b.same = table.like.same;
  return conv_block(in, out, activation, b);
}

Sequential fused_branch(const Table& table, const Stage& stage, int64_t in, int stride) {
  const int64_t wide = in * stage.expand;
  Sequential block;
  block.add(conv(table, in, wide == in ? stage.out : wide, kSilu,
                 {.kernel = stage.kernel, .stride = stride}));
  if (wide != in) block.add(conv(table, wide, stage.out, Activation::none));
  return block;
}

Sequential branch(const Table& table, const Stage& stage, int64_t in, int stride) {
  const int64_t wide = in * stage.expand;
  Sequential block;
  if (wide != in) block.add(conv(table, in, wide, kSilu));
  block.add(conv(table, wide, wide, kSilu,
                 {.kernel = stage.kernel, .stride = stride, .groups = int(wide)}));
  block.add(SqueezeExcite(wide, std::max<int64_t>(1, in / 4), kSilu, Activation::sigmoid));
  block.add(conv(table, wide, stage.out, Activation::none));
  return block;
}

Sequential make_features(const Table& table) {
  int total = 0, number = 0;
  for (const Stage& stage : table.stages) total += stage.blocks;
  Sequential features;
  features.add(conv(table, 3, table.stages[0].in, kSilu, {.kernel = 3, .stride = 2}));
  for (const Stage& stage : table.stages) {
    Sequential blocks;
    for (int i = 0; i < stage.blocks; ++i) {
      const int64_t in = i == 0 ? stage.in : stage.out;
      const int stride = i == 0 ? stage.stride : 1;
      blocks.add(Residual("block", (stage.fused ? fused_branch : branch)(table, stage, in, stride),
                          stride == 1 && in == stage.out,
                          kMostDropped * float(number++) / float(total)));
    }
    features.add(std::move(blocks));
  }
  features.add(conv(table, table.stages.back().out, table.features, kSilu));
  return features;
}

std::unique_ptr<Classifier> make(const Table& table, int64_t classes) {
  Sequential classifier;
  classifier.add(Dropout(table.dropout)).add(Linear(table.features, classes));
  return std::make_unique<Chain>(Chain::Part{"features", make_features(table)},
                                 Chain::Part{"classifier", std::move(classifier)});
}

ZooRow row(const char* name, Table table, int64_t parameters, Preprocess preprocess) {
  return {name, [=](int64_t classes) { return make(table, classes); }, parameters, preprocess,
          1000, nullptr, table.like.same ? kOddSide : 64};
}

const std::vector<Stage> kSmall{{true, 1, 3, 1, 24, 24, 2}, {true, 4, 3, 2, 24, 48, 4},
                                {true, 4, 3, 2, 48, 64, 4}, {false, 4, 3, 2, 64, 128, 6},
                                {false, 6, 3, 1, 128, 160, 9}, {false, 6, 3, 2, 160, 256, 15}};
const std::vector<Stage> kMedium{{true, 1, 3, 1, 24, 24, 3}, {true, 4, 3, 2, 24, 48, 5},
                                 {true, 4, 3, 2, 48, 80, 5}, {false, 4, 3, 2, 80, 160, 7},
                                 {false, 6, 3, 1, 160, 176, 14}, {false, 6, 3, 2, 176, 304, 18},
                                 {false, 6, 3, 1, 304, 512, 5}};
const std::vector<Stage> kLarge{{true, 1, 3, 1, 32, 32, 4}, {true, 4, 3, 2, 32, 64, 7},
                                {true, 4, 3, 2, 64, 96, 7}, {false, 4, 3, 2, 96, 192, 10},
                                {false, 6, 3, 1, 192, 224, 19}, {false, 6, 3, 2, 224, 384, 25},
                                {false, 6, 3, 1, 384, 640, 7}};

}  // namespace

std::span<const ZooRow> efficientnet_rows() {
  constexpr ConvBlock large{.eps = 1e-3f, .momentum = 0.01f}, v2{.eps = 1e-3f},
      keras{.eps = 1e-3f, .momentum = 0.01f, .same = true};
  static const ZooRow rows[] = {
      row("efficientnet_b0", scaled(1.0, 1.0, 0.2f), 5288548, bicubic(256, 224)),
      row("efficientnet_b1", scaled(1.0, 1.1, 0.2f), 7794184, {.resize = 255, .crop = 240}),
      row("efficientnet_b2", scaled(1.1, 1.2, 0.3f), 9109994, bicubic(288, 288)),
      row("efficientnet_b3", scaled(1.2, 1.4, 0.3f), 12233232, bicubic(320, 300)),
      row("efficientnet_b4", scaled(1.4, 1.8, 0.4f), 19341616, bicubic(384, 380)),
      row("efficientnet_b5", scaled(1.6, 2.2, 0.4f, large), 30389784, bicubic(456, 456)),
      row("efficientnet_b6", scaled(1.8, 2.6, 0.5f, large), 43040704, bicubic(528, 528)),
      row("efficientnet_b7", scaled(2.0, 3.1, 0.5f, large), 66347960, bicubic(600, 600)),
      row("efficientnet_v2_s", {kSmall, 1280, 0.2f, v2}, 21458488, {.resize = 384, .crop = 384}),
      row("efficientnet_v2_m", {kMedium, 1280, 0.3f, v2}, 54139356, {.resize = 480, .crop = 480}),
      row("efficientnet_v2_l", {kLarge, 1280, 0.4f, v2}, 118515272, centred(bicubic(480, 480))),
      row("efficientnet_b0_keras", scaled(1.0, 1.0, 0.2f, keras), 5288548, bicubic(256, 224)),
      row("efficientnet_b1_keras", scaled(1.0, 1.1, 0.2f, keras), 7794184, bicubic(272, 240)),
      row("efficientnet_b2_keras", scaled(1.1, 1.2, 0.3f, keras), 9109994, bicubic(292, 260)),
      row("efficientnet_b3_keras", scaled(1.2, 1.4, 0.3f, keras), 12233232, bicubic(332, 300)),
      row("efficientnet_b4_keras", scaled(1.4, 1.8, 0.4f, keras), 19341616, bicubic(412, 380)),
      row("efficientnet_b5_keras", scaled(1.6, 2.2, 0.4f, keras), 30389784, bicubic(488, 456)),
      row("efficientnet_b6_keras", scaled(1.8, 2.6, 0.5f, keras), 43040704, bicubic(560, 528)),
      row("efficientnet_b7_keras", scaled(2.0, 3.1, 0.5f, keras), 66347960, bicubic(632, 600)),
  };
  return rows;
}

}  // namespace graft
