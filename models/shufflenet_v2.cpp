// ShuffleNetV2 (Ma et al., ECCV 2018): half of the channels pass by, then all are shuffled.
#include <array>

#include "layers/conv_norm_act.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "models/chain.h"
#include "models/conv_block.h"
#include "models/families.h"

namespace graft {
namespace {

constexpr int kStem = 24;
constexpr int kBlocks[] = {4, 8, 4};  // of stages 2, 3 and 4

Sequential& add_pointwise(Sequential& to, int64_t in, int64_t out) {
  return to.add(Conv2d(in, out, {.bias = false})).add(BatchNorm2d(out)).add(relu_layer());
}

Sequential& add_depthwise(Sequential& to, int64_t channels, int stride) {
  to.add(Conv2d(channels, channels, {.kernel = 3, .stride = stride, .padding = 1,
                                     .groups = int(channels), .bias = false}));
  return to.add(BatchNorm2d(channels));
}

class ShuffleBlock : public Module {
 public:
  // The first block of a stage halves the map, and both branches see all channels.
  ShuffleBlock(int64_t in, int64_t out, bool first) : first_(first) {
    const int64_t half = out / 2;
    if (first) add_pointwise(add_depthwise(branch1, in, 2), in, half);
    add_pointwise(branch2, first ? in : half, half);
    add_pointwise(add_depthwise(branch2, half, first ? 2 : 1), half, half);
  }

  Tensor forward(Tensor x) override {
    const int64_t half = x.dim(-1) / 2;
    Tensor y = first_ ? concat({branch1(x), branch2(x)})
                      : concat({channels(x, 0, half), branch2(channels(x, half, 2 * half))});
    return shuffle_channels(y, 2);
  }
  std::string describe() const override { return "ShuffleBlock"; }
  GRAFT_FIELDS(branch1, branch2)

  Sequential branch1, branch2;

 private:
  bool first_;
};

// Channels of stages 2, 3 and 4, and of the features.
std::unique_ptr<Classifier> make(std::array<int, 4> widths, int64_t classes) {
  Sequential trunk, head;
  trunk.add("conv1", conv_block(3, kStem, Activation::relu, {.kernel = 3, .stride = 2}));
  trunk.add("maxpool", MaxPool2d(3, 2, 1));
  int64_t channels = kStem;
  for (size_t stage = 0; stage < 3; ++stage) {
    Sequential blocks;
    for (int i = 0; i < kBlocks[stage]; ++i) {
      blocks.add(ShuffleBlock(channels, widths[stage], i == 0));
      channels = widths[stage];
    }
    trunk.add(fmt::format("stage{}", stage + 2), std::move(blocks));
  }
  trunk.add("conv5", conv_block(channels, widths[3], Activation::relu));
  head.add("fc", Linear(widths[3], classes));
  return std::make_unique<Chain>(Chain::Part{"", std::move(trunk)},
                                 Chain::Part{"", std::move(head)});
}

ZooRow row(const char* name, std::array<int, 4> widths, int64_t parameters, int resize) {
  return {name, [=](int64_t classes) { return make(widths, classes); }, parameters,
          {.resize = resize}};
}

}  // namespace

std::span<const ZooRow> shufflenet_v2_rows() {
  static const ZooRow rows[] = {
      row("shufflenet_v2_x0_5", {48, 96, 192, 1024}, 1366792, 256),
      row("shufflenet_v2_x1_0", {116, 232, 464, 1024}, 2278604, 256),
      row("shufflenet_v2_x1_5", {176, 352, 704, 1024}, 3503624, 232),
      row("shufflenet_v2_x2_0", {244, 488, 976, 2048}, 7393996, 232),
  };
  return rows;
}

}  // namespace graft
