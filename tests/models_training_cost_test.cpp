// What freezing saves, against numbers computed by hand for a network of three layers.
#include "models/training_cost.h"

#include <gtest/gtest.h>

#include "kernels/memory.h"
#include "layers/conv2d.h"
#include "models/chain.h"
#include "models/zoo.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

// Of an image of 8x8 pixels: conv 3 -> 4 (8x8x4), norm, ReLU, conv 4 -> 8 of stride 2 (4x4x8), norm,
// ReLU, the mean over the map, matrix 8 -> 3.
std::unique_ptr<Classifier> three_layers(const char* plan) {
  Sequential trunk, head;
  trunk.add(Conv2d(3, 4, {.kernel = 3, .padding = 1, .bias = false})).add(BatchNorm2d(4)).add(relu_layer());
  trunk.add(Conv2d(4, 8, {.kernel = 3, .stride = 2, .padding = 1, .bias = false}));
  trunk.add(BatchNorm2d(8)).add(relu_layer());
  head.add(Linear(8, 3));
  auto model = std::make_unique<Chain>(Chain::Part{"features", std::move(trunk)},
                                       Chain::Part{"classifier", std::move(head)});
  initialize(*model, 1);
  freeze(*model, plan);
  return model;
}

constexpr double kConv1 = 2 * 8 * 8 * 4 * 27, kConv2 = 2 * 4 * 4 * 8 * 36, kMatrix = 2 * 3 * 8;
constexpr int64_t kImage = 4 * 8 * 8 * 3, kMap1 = 4 * 8 * 8 * 4, kMap2 = 4 * 4 * 4 * 8, kMean = 4 * 8;

struct Totals {
  StepCost planned, full;
};

Totals totals(Classifier& model, int64_t side) {
  Totals t;
  for (const LayerCost& cost : training_costs(model, side)) t.planned += cost.planned, t.full += cost.full;
  return t;
}

TEST(TrainingCost, OfEverythingLayerByLayer) {
  auto model = three_layers("none");
  const std::vector<LayerCost> costs = training_costs(*model, 8);
  ASSERT_EQ(costs.size(), 5u);
  struct Want {
    const char* layer;
    Shape output;
    double flops;
    int64_t bytes;
  };
  const Want want[] = {
      {"features.0", {1, 8, 8, 4}, kConv1, kImage + kMap1},  // no gradient of the image
      {"features.1", {1, 8, 8, 4}, 0, kMap1},                // the ReLU's result
      {"features.3", {1, 4, 4, 8}, 2 * kConv2, kMap2},
      {"features.4", {1, 8}, 0, kMap2 + kMean},              // the matrix reads the mean
      {"classifier.0", {1, 3}, 2 * kMatrix, 0},
  };
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(costs[i].layer, want[i].layer);
    EXPECT_EQ(costs[i].output, want[i].output) << want[i].layer;
    EXPECT_EQ(costs[i].planned.flops, want[i].flops) << want[i].layer;
    EXPECT_EQ(costs[i].planned.bytes, want[i].bytes) << want[i].layer;
    EXPECT_EQ(costs[i].full.flops, want[i].flops) << want[i].layer;
    EXPECT_EQ(costs[i].full.bytes, want[i].bytes) << want[i].layer;
  }
}

TEST(TrainingCost, OfPlans) {
  const double all_flops = kConv1 + 2 * kConv2 + 2 * kMatrix;
  const int64_t all_bytes = kImage + 2 * kMap1 + 2 * kMap2 + kMean;
  struct Case {
    const char* plan;
    double flops;
    int64_t bytes;
  };
  for (const Case& c : {
           Case{"none", all_flops, all_bytes},
           Case{"trunk", kMatrix, kMean},                                            // dW only
           Case{"features.0,features.1", kConv2 + 2 * kMatrix, kMap1 + 2 * kMap2 + kMean},
           Case{"until:features.3", kConv2 + 2 * kMatrix, kMap1 + 2 * kMap2 + kMean},
           Case{"features.0,features.1,features.4", kConv2 + 2 * kMatrix, kMap1 + kMap2 + kMean},
           // Norms that scale only: both convolutions hand gradients through.
           Case{"none,bn=frozen", all_flops, kImage + kMap1 + kMap2 + kMean},
           Case{"none,bn=affine", all_flops, all_bytes},
           Case{"none,bn=stats", all_flops, all_bytes},
           // Of the trunk the norms alone: gradients reach the first one through the second filter.
           Case{"trunk,bn=affine", kConv2 + 2 * kMatrix, 2 * kMap1 + 2 * kMap2 + kMean},
       }) {
    auto model = three_layers(c.plan);
    const Totals t = totals(*model, 8);
    EXPECT_EQ(t.planned.flops, c.flops) << c.plan;
    EXPECT_EQ(t.planned.bytes, c.bytes) << c.plan;
    EXPECT_EQ(t.full.flops, all_flops) << c.plan;
    EXPECT_EQ(t.full.bytes, all_bytes) << c.plan;
  }
}

// Of the matrix before dropout its ReLU reads the result, of what dropout makes of that the one behind.
TEST(TrainingCost, DropoutMakesValuesOfItsOwn) {
  Sequential trunk, head;
  trunk.add(Conv2d(3, 8, {}));
  head.add(Linear(8, 16)).add(relu_layer()).add(Dropout()).add(Linear(16, 3));
  Chain model({"features", std::move(trunk)}, {"classifier", std::move(head)});
  initialize(model, 1);
  freeze(model, "features");
  EXPECT_EQ(totals(model, 8).planned.bytes, kMean + 2 * 4 * 16);
}

// ---- against memory ------------------------------------------------------------------------------

// Bytes that the graph of one forward pass in training holds, images included.
int64_t held_by_the_graph(Classifier& model, int64_t batch, int64_t side) {
  model.train();
  auto forward = [&] { return model(normal({batch, side, side, 3}, 1)); };
  forward();  // filters that stay are packed now
  const size_t before = cpu::memory_use().live;
  const Tensor logits = forward();
  return int64_t(cpu::memory_use().live - before - logits.bytes());
}

// Bytes that the norms of one forward pass keep besides, at most: the batch's mean and 1 / deviation.
int64_t statistics(Classifier& model) {
  int64_t bytes = 0;
  if (model.fixed_steps() < model.steps().size())
    each_module(model, [&](auto&, Module& m) {
      if (auto* norm = dynamic_cast<BatchNorm2d*>(&m)) bytes += 2 * int64_t(norm->weight.bytes() + 64);
    });
  return bytes;
}

struct Held {
  const char* network;
  int64_t side;
  std::vector<const char*> plans;
  double slack;  // a share: memory is handed out in steps of an eighth of a power of two
};
class CostInMemory : public testing::TestWithParam<Held> {};

TEST_P(CostInMemory, IsWhatAForwardPassHolds) {
  constexpr int64_t kBatch = 8;
  const Held& c = GetParam();
  auto model = make_model(c.network, 10);
  for (const char* plan : c.plans) {
    freeze(*model, plan);
    const double planned = double(kBatch * totals(*model, c.side).planned.bytes);
    const double held = double(held_by_the_graph(*model, kBatch, c.side));
    EXPECT_GE(held, planned) << plan;
    EXPECT_LE(held, (1 + c.slack) * planned + double(statistics(*model))) << plan;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Networks, CostInMemory,
    testing::Values(
        Held{"resnet10_small", 32,
             {"trunk", "until:layer4", "none", "bias-only", "norm-only", "none,bn=frozen", "none,bn=stats",
              "layer1,layer2,layer3,layer4,fc"}, 0},
        Held{"resnet18", 64, {"trunk", "until:layer4", "none", "bias-only", "norm-only"}, 0},
        Held{"squeezenet1_1", 64, {"trunk", "until:features.9", "none", "bias-only"}, 0.125},
        Held{"mobilenet_v2", 64, {"trunk", "60%", "none", "bias-only", "norm-only"}, 0},
        Held{"mobilenet_v3_small", 64, {"trunk", "60%", "none", "bias-only", "norm-only"}, 0},
        Held{"densenet121", 64, {"until:features.denseblock4", "none", "norm-only"}, 0.125},
        Held{"efficientnet_b0", 64, {"60%", "none"}, 0.125},
        Held{"convnext_tiny", 64, {"60%", "none", "norm-only"}, 0.125},
        Held{"swin_t", 64, {"60%", "none"}, 0.125}),
    [](const auto& info) { return std::string(info.param.network); });

// 2 x 1.814 G multiplications of ResNet-18 at 224 pixels; behind them twice that, but for the image's.
TEST(TrainingCost, OfResNet18) {
  auto model = build_model("resnet18", 1000);
  const Totals t = totals(*model, 224);
  const double stem = 2.0 * 112 * 112 * 64 * 147;
  EXPECT_NEAR(t.full.flops, 4 * 1.814e9 - stem, 0.01e9);
  freeze(*model, "trunk");
  const Totals frozen = totals(*model, 224);
  EXPECT_EQ(frozen.planned.flops, 2 * 512 * 1000);
  EXPECT_EQ(frozen.planned.bytes, 4 * 512);
}

TEST(TrainingCost, LeavesTheModelAsItIs) {
  auto model = three_layers("trunk");
  model->train();
  const TensorMap before = snapshot(*model);
  training_costs(*model, 8);
  EXPECT_TRUE(model->training());
  EXPECT_TRUE(changed(before, snapshot(*model)).empty());
}

// Every network of the zoo can be traced, and a frozen trunk keeps at most what its head reads.
class CostZoo : public testing::TestWithParam<ZooRow> {};
TEST_P(CostZoo, IsCounted) {
  auto model = build_model(GetParam().name, 10);
  freeze(*model, "trunk");
  const Totals t = totals(*model, GetParam().preprocess.crop);
  EXPECT_GT(t.full.flops, 100 * t.planned.flops);
  EXPECT_GT(t.full.bytes, t.planned.bytes);
  for (const LayerCost& cost : training_costs(*model, GetParam().preprocess.crop)) {
    EXPECT_GE(cost.full.flops, cost.planned.flops) << cost.layer;
    EXPECT_GE(cost.full.bytes, cost.planned.bytes) << cost.layer;
  }
  EXPECT_GT(t.planned.flops, 0);
}
INSTANTIATE_TEST_SUITE_P(All, CostZoo, testing::ValuesIn(zoo()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace graft
