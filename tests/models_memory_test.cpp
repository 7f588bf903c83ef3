// A frozen trunk keeps no activations: its memory beside the weights is that of the few maps that a
// layer reads and writes, whatever the depth.
#include <gtest/gtest.h>

#include "core/autograd.h"
#include "kernels/memory.h"
#include "kernels/parallel.h"
#include "models/chain.h"
#include "models/zoo.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

struct TrunkMemory {  // bytes
  int64_t peak;       // of one pass, beside the weights and the images
  int64_t largest;    // map that a layer makes
};

// The trunk is frozen, the model in training, and there are as many images as it takes at a time, so
// small that no map is large enough for Winograd, whose workspace holds several.
TrunkMemory trunk_memory(Classifier& model, int64_t side) {
  freeze(model, "trunk");
  model.train();
  const Tensor images = normal({8, side, side, 3}, 1);
  TrunkMemory memory{};
  {
    Watch watch([&](const Module&, const Tensor& y) {
      memory.largest = std::max(memory.largest, int64_t(y.bytes()));
    });
    model.trunk_in_parts(images);  // which packs the weights
  }
  cpu::reset_peak();
  const size_t before = cpu::memory_use().live;
  model.trunk_in_parts(images);
  memory.peak = int64_t(cpu::memory_use().peak - before);
  return memory;
}

std::unique_ptr<Classifier> zeros(const char* network) {
  auto model = build_model(network, 10);
  each_param(*model, [](auto&, Param& p) { p.clear(); });
  return model;
}

// Convolutions of 16 channels, one after the other.
std::unique_ptr<Classifier> plain(int depth) {
  Sequential trunk, head;
  for (int i = 0; i < depth; ++i) {
    trunk.add(Conv2d(i == 0 ? 3 : 16, 16, {.kernel = 3, .padding = 1, .bias = false}));
    trunk.add(BatchNorm2d(16)).add(relu_layer());
  }
  head.add(Linear(16, 10));
  auto model = std::make_unique<Chain>(Chain::Part{"features", std::move(trunk)},
                                       Chain::Part{"classifier", std::move(head)});
  initialize(*model, 1);
  return model;
}

// Of one oneDNN kernel, at most, in bytes.
int64_t workspace() { return int64_t(cpu::thread_count()) << 14; }

TEST(TrunkMemory, OfAChainIsTwoMapsAtAnyDepth) {
  const TrunkMemory memory = trunk_memory(*plain(2), 16);
  EXPECT_GE(memory.peak, 2 * memory.largest);
  EXPECT_LE(memory.peak, 2 * memory.largest + workspace());
  EXPECT_EQ(trunk_memory(*plain(40), 16).peak, memory.peak);
}

struct Bound {
  const char* network;
  int64_t side;
  double maps;  // of the largest size, at most
};
class TrunkMaps : public testing::TestWithParam<Bound> {};

TEST_P(TrunkMaps, AreFew) {
  const TrunkMemory memory = trunk_memory(*zeros(GetParam().network), GetParam().side);
  const double maps = double(memory.peak - workspace()) / double(memory.largest);
  EXPECT_LE(maps, GetParam().maps);
}

INSTANTIATE_TEST_SUITE_P(
    Networks, TrunkMaps,
    testing::Values(
        // The first map, and what is pooled from it.
        Bound{"resnet18", 64, 1.25},
        // A wide block's input and, where the next stage begins, the shortcut of half its size, in whose
        // place the sum is made, with the narrow map between.
        Bound{"resnet50", 64, 1.625},
        // A block's input waits for the sum, which is made in its place.
        Bound{"resnet10_small", 16, 2},
        // Without a filter in the shortcut the halves that it is put together from come on top.
        Bound{"resnet110", 16, 2.5},
        // Wide inside, narrow outside, where the sides are halved.
        Bound{"mobilenet_v2", 64, 1.25}, Bound{"efficientnet_b0", 64, 1.25},
        // The parts of a concatenation and the whole.
        Bound{"squeezenet1_1", 64, 1.375}, Bound{"densenet121", 64, 2.25}),
    [](const auto& info) { return std::string(info.param.network); });

TEST(TrunkMemory, DoesNotGrowWithDepth) {
  EXPECT_EQ(trunk_memory(*zeros("resnet110"), 16).peak, trunk_memory(*zeros("resnet20"), 16).peak);
  EXPECT_EQ(trunk_memory(*zeros("resnet152"), 64).peak, trunk_memory(*zeros("resnet50"), 64).peak);
}

}  // namespace
}  // namespace graft
