// RegNet X and Y (Radosavovic et al., CVPR 2020): grouped bottlenecks; in Y with squeeze and
// excitation.
#include <array>
#include <cmath>

#include "layers/linear.h"
#include "layers/squeeze_excite.h"
#include "models/chain.h"
#include "models/conv_block.h"
#include "models/families.h"

namespace graft {
namespace {

constexpr int kStem = 32;

struct Table {
  std::array<int, 4> widths, blocks;  // per stage
  int group_width;                    // channels in a group of the 3x3
  bool squeeze = false;
};

class Block : public Module {
 public:
  Block(int64_t in, int64_t out, int stride, const Table& table) {
    if (in != out || stride > 1) {
      proj = std::make_unique<Sequential>();
      proj->add(Conv2d(in, out, {.stride = stride, .bias = false})).add(BatchNorm2d(out));
    }
    const int groups = int(out / std::min<int64_t>(table.group_width, out));
    f.add("a", conv_block(in, out, Activation::relu));
    f.add("b", conv_block(out, out, Activation::relu,
                          {.kernel = 3, .stride = stride, .groups = groups}));
    const auto narrow = int64_t(std::nearbyint(0.25 * double(in)));  // halves to even, as Python's
    if (table.squeeze)
      f.add("se", SqueezeExcite(out, narrow, Activation::relu, Activation::sigmoid));
    f.add("c", conv_block(out, out, Activation::none));
  }

  Tensor forward(Tensor x) override {
    Tensor shortcut = proj ? (*proj)(x) : x;
    return f.forward(std::move(x), std::move(shortcut), Activation::relu);
  }
  std::string describe() const override { return "RegNet block"; }
  GRAFT_FIELDS(proj, f)

  std::unique_ptr<Sequential> proj;
  Sequential f;
};

std::unique_ptr<Classifier> make(const Table& table, int64_t classes) {
  Sequential trunk, stages, head;
  int64_t channels = kStem;
  for (size_t stage = 0; stage < 4; ++stage) {
    Sequential blocks;
    for (int i = 0; i < table.blocks[stage]; ++i) {
      blocks.add(fmt::format("block{}-{}", stage + 1, i),
                 Block(channels, table.widths[stage], i == 0 ? 2 : 1, table));
      channels = table.widths[stage];
    }
    stages.add(fmt::format("block{}", stage + 1), std::move(blocks));
  }
  trunk.add("stem", conv_block(3, kStem, Activation::relu, {.kernel = 3, .stride = 2}));
  trunk.add("trunk_output", std::move(stages));
  head.add("fc", Linear(channels, classes));
  return std::make_unique<Chain>(Chain::Part{"", std::move(trunk)},
                                 Chain::Part{"", std::move(head)});
}

ZooRow row(const char* name, Table table, int64_t parameters,
           Preprocess preprocess = {.resize = 232}) {
  return {name, [=](int64_t classes) { return make(table, classes); }, parameters, preprocess};
}

}  // namespace

std::span<const ZooRow> regnet_rows() {
  static const ZooRow rows[] = {
      row("regnet_x_400mf", {{32, 64, 160, 400}, {1, 2, 7, 12}, 16}, 5495976),
      row("regnet_x_800mf", {{64, 128, 288, 672}, {1, 3, 7, 5}, 16}, 7259656),
      row("regnet_x_1_6gf", {{72, 168, 408, 912}, {2, 4, 10, 2}, 24}, 9190136),
      row("regnet_x_3_2gf", {{96, 192, 432, 1008}, {2, 6, 15, 2}, 48}, 15296552),
      row("regnet_x_8gf", {{80, 240, 720, 1920}, {2, 5, 15, 1}, 120}, 39572648),
      row("regnet_x_16gf", {{256, 512, 896, 2048}, {2, 6, 13, 1}, 128}, 54278536),
      row("regnet_x_32gf", {{336, 672, 1344, 2520}, {2, 7, 13, 1}, 168}, 107811560),
      row("regnet_y_400mf", {{48, 104, 208, 440}, {1, 3, 6, 6}, 8, true}, 4344144),
      row("regnet_y_800mf", {{64, 144, 320, 784}, {1, 3, 8, 2}, 16, true}, 6432512),
      row("regnet_y_1_6gf", {{48, 120, 336, 888}, {2, 6, 17, 2}, 24, true}, 11202430),
      row("regnet_y_3_2gf", {{72, 216, 576, 1512}, {2, 5, 13, 1}, 24, true}, 19436338),
      row("regnet_y_8gf", {{224, 448, 896, 2016}, {2, 4, 10, 1}, 56, true}, 39381472),
      row("regnet_y_16gf", {{224, 448, 1232, 3024}, {2, 4, 11, 1}, 112, true}, 83590140),
      row("regnet_y_32gf", {{232, 696, 1392, 3712}, {2, 5, 12, 1}, 232, true}, 145046770),
      row("regnet_y_128gf", {{528, 1056, 2904, 7392}, {2, 7, 17, 1}, 264, true}, 644812894,
          bicubic(384, 384)),
  };
  return rows;
}

}  // namespace graft
