// ConvNeXt (Liu et al., CVPR 2022): a convolutional network with the manners of a transformer.
#include <array>

#include "layers/activation.h"
#include "layers/conv2d.h"
#include "layers/layer_norm.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "layers/stochastic_depth.h"
#include "models/chain.h"
#include "models/families.h"

namespace graft {
namespace {

struct Table {
  std::array<int, 4> widths, blocks;  // per stage
  float drop;                         // stochastic depth of the last block; from 0 it grows evenly
};

// x + layer_scale * branch(x), the branch a 7x7 in every channel and two matrices in every pixel.
class CNBlock : public Module {
 public:
  CNBlock(int64_t width, float drop) : layer_scale({width, 1, 1}), stochastic_depth(drop) {
    layer_scale.copy_from(Tensor::full({width, 1, 1}, 1e-6f));
    block.add("0", Conv2d(width, width, {.kernel = 7, .padding = 3, .groups = int(width)}));
    block.add("2", LayerNorm(width)).add("3", Linear(width, 4 * width));
    block.add("4", Activate(Activation::gelu)).add("5", Linear(4 * width, width));
  }

  Tensor forward(Tensor x) override {
    Tensor y = mul(block(x), layer_scale.reshape({-1}));
    return add(stochastic_depth(std::move(y)), x);
  }
  std::string describe() const override { return "CNBlock"; }
  GRAFT_FIELDS(layer_scale, block, stochastic_depth)

  Param layer_scale;  // (C,1,1), as published
  Sequential block;
  StochasticDepth stochastic_depth;
};

// A convolution of patches that do not overlap.
Conv2d patches(int64_t in, int64_t out, int side) {
  return Conv2d(in, out, {.kernel = side, .stride = side});
}

std::unique_ptr<Classifier> make(const Table& table, int64_t classes) {
  int total = 0, number = 0;
  for (int blocks : table.blocks) total += blocks;
  Sequential features, stem, classifier;
  stem.add(patches(3, table.widths[0], 4)).add(LayerNorm(table.widths[0]));
  features.add(std::move(stem));
  for (size_t stage = 0; stage < 4; ++stage) {
    const int64_t width = table.widths[stage];
    Sequential halve, blocks;
    if (stage > 0) {
      halve.add(LayerNorm(table.widths[stage - 1])).add(patches(table.widths[stage - 1], width, 2));
      features.add(std::move(halve));
    }
    for (int i = 0; i < table.blocks[stage]; ++i)
      blocks.add(CNBlock(width, table.drop * float(number++) / float(total - 1)));
    features.add(std::move(blocks));
  }
  classifier.add("0", LayerNorm(table.widths[3])).add("2", Linear(table.widths[3], classes));
  return std::make_unique<Chain>(Chain::Part{"features", std::move(features)},
                                 Chain::Part{"classifier", std::move(classifier)});
}

ZooRow row(const char* name, Table table, int64_t parameters, int resize) {
  return {name, [=](int64_t classes) { return make(table, classes); }, parameters,
          {.resize = resize}};
}

}  // namespace

std::span<const ZooRow> convnext_rows() {
  static const ZooRow rows[] = {
      row("convnext_tiny", {{96, 192, 384, 768}, {3, 3, 9, 3}, 0.1f}, 28589128, 236),
      row("convnext_small", {{96, 192, 384, 768}, {3, 3, 27, 3}, 0.4f}, 50223688, 230),
      row("convnext_base", {{128, 256, 512, 1024}, {3, 3, 27, 3}, 0.5f}, 88591464, 232),
      row("convnext_large", {{192, 384, 768, 1536}, {3, 3, 27, 3}, 0.5f}, 197767336, 232),
  };
  return rows;
}

}  // namespace graft
