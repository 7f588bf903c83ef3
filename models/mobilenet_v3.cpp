// MobileNetV3 (Howard et al., ICCV 2019): inverted residuals with squeeze and excitation.
#include <span>

#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/residual.h"
#include "layers/squeeze_excite.h"
#include "models/chain.h"
#include "models/conv_block.h"
#include "models/families.h"

namespace graft {
namespace {

constexpr auto RE = Activation::relu, HS = Activation::hardswish;
constexpr float kEps = 1e-3f, kMomentum = 0.01f;  // of every norm

struct Block {
  int kernel, wide, out;
  bool squeeze;
  Activation activation;
  int stride;
};

// Tables 1 and 2 of the paper.
constexpr Block kLarge[] = {
    {3, 16, 16, false, RE, 1},   {3, 64, 24, false, RE, 2},   {3, 72, 24, false, RE, 1},
    {5, 72, 40, true, RE, 2},    {5, 120, 40, true, RE, 1},   {5, 120, 40, true, RE, 1},
    {3, 240, 80, false, HS, 2},  {3, 200, 80, false, HS, 1},  {3, 184, 80, false, HS, 1},
    {3, 184, 80, false, HS, 1},  {3, 480, 112, true, HS, 1},  {3, 672, 112, true, HS, 1},
    {5, 672, 160, true, HS, 2},  {5, 960, 160, true, HS, 1},  {5, 960, 160, true, HS, 1},
};
constexpr Block kSmall[] = {
    {3, 16, 16, true, RE, 2},   {3, 72, 24, false, RE, 2},  {3, 88, 24, false, RE, 1},
    {5, 96, 40, true, HS, 2},   {5, 240, 40, true, HS, 1},  {5, 240, 40, true, HS, 1},
    {5, 120, 48, true, HS, 1},  {5, 144, 48, true, HS, 1},  {5, 288, 96, true, HS, 2},
    {5, 576, 96, true, HS, 1},  {5, 576, 96, true, HS, 1},
};

Sequential conv(int64_t in, int64_t out, Activation activation, ConvBlock b = {}) {
  b.eps = kEps, b.momentum = kMomentum;
  return conv_block(in, out, activation, b);
}

Residual block(int64_t in, const Block& b) {
  Sequential layers;
  if (b.wide != in) layers.add(conv(in, b.wide, b.activation));
  layers.add(conv(b.wide, b.wide, b.activation,
                  {.kernel = b.kernel, .stride = b.stride, .groups = b.wide}));
  if (b.squeeze)
    layers.add(SqueezeExcite(b.wide, multiple_of_8(b.wide / 4), Activation::relu,
                             Activation::hardsigmoid));
  layers.add(conv(b.wide, b.out, Activation::none));
  return Residual("block", std::move(layers), b.stride == 1 && in == b.out);
}

std::unique_ptr<Classifier> make(std::span<const Block> table, int hidden, int64_t classes) {
  Sequential features, classifier;
  int64_t channels = 16;
  features.add(conv(3, channels, HS, {.kernel = 3, .stride = 2}));
  for (const Block& b : table) {
    features.add(block(channels, b));
    channels = b.out;
  }
  features.add(conv(channels, 6 * channels, HS));
  classifier.add(Linear(6 * channels, hidden)).add(Activate(HS));
  classifier.add(Dropout(0.2f)).add(Linear(hidden, classes));
  return std::make_unique<Chain>(Chain::Part{"features", std::move(features)},
                                 Chain::Part{"classifier", std::move(classifier)});
}

}  // namespace

std::span<const ZooRow> mobilenet_v3_rows() {
  static const ZooRow rows[] = {
      {"mobilenet_v3_large", [](int64_t n) { return make(kLarge, 1280, n); }, 5483032,
       {.resize = 232}},
      {"mobilenet_v3_small", [](int64_t n) { return make(kSmall, 1024, n); }, 2542856},
  };
  return rows;
}

}  // namespace graft
