// The layers that are made of others: each against its single operations, frozen and learning.
#include "core/autograd.h"
#include "layers/branches.h"
#include "layers/layer_norm.h"
#include "layers/residual.h"
#include "layers/squeeze_excite.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

constexpr double kFold = 1e-5;  // share of the largest value

Sequential conv_and_norm(int64_t in, int64_t out, Activation last) {
  Sequential layers;
  layers.add(Conv2d(in, out, {.kernel = 3, .padding = 1, .bias = false})).add(BatchNorm2d(out));
  if (last != Activation::none) layers.add(Activate(last));
  initialize(layers, 1);
  randomise(dynamic_cast<BatchNorm2d&>(layers[1]), 2);
  return layers;
}

// With a last activation of its own, nested, and ending in something else.
TEST(Sequential, AddsTheResidualLast) {
  Tensor x = normal({2, 5, 6, 4}, 1), residual = normal({2, 5, 6, 4}, 2);
  for (bool learns : {false, true})
    for (auto own : {Activation::none, Activation::silu}) {
      Sequential flat = conv_and_norm(4, 4, own), nested, pooled = conv_and_norm(4, 4, own);
      nested.add(conv_and_norm(4, 4, own));
      pooled.add(MaxPool2d(3, 1, 1));
      for (Sequential* layers : {&flat, &nested, &pooled}) {
        layers->requires_grad(learns);
        Tensor expected = relu(add((*layers)(x), residual));
        expect_close(layers->forward(x, residual.clone(), Activation::relu), expected, kFold);
      }
    }
}

TEST(Sequential, NormAndActivationAreOneOperation) {
  Sequential layers;
  layers.add(BatchNorm2d(4)).add(relu_layer());
  Tensor x = normal({2, 3, 3, 4}, 1);
  EXPECT_STREQ(node_of(layers(x))->op, "batch_norm_frozen");
}

TEST(Sequential, NamesAreAsGiven) {
  Sequential layers;
  layers.add("a", Linear(2, 3)).add("", conv_and_norm(1, 1, Activation::none));
  std::vector<std::string> paths;
  each_param(layers, [&](auto& path, Param&) { paths.push_back(path); });
  EXPECT_EQ(paths, (std::vector<std::string>{"a.weight", "a.bias", "0.weight", "1.weight", "1.bias"}));
}

TEST(SqueezeExcite, ScalesEveryChannelByItsGate) {
  SqueezeExcite layer(6, 2, Activation::relu, Activation::hardsigmoid);
  initialize(layer, 3);
  Tensor x = normal({2, 3, 4, 6}, 1);
  Tensor mean = global_avg_pool(x), w1 = layer.fc1.weight.reshape({2, 6}), w2 = layer.fc2.weight.reshape({6, 2});
  Tensor gate = hardsigmoid(linear(relu(linear(mean, w1, layer.fc1.bias)), w2, layer.fc2.bias));
  Tensor expected(x.shape());
  for (int64_t i = 0; i < x.size(); ++i)
    expected.mutable_data()[i] = x.data()[i] * gate.data()[i / 72 * 6 + i % 6];
  expect_close(layer(x), expected, kFold);
  layer.requires_grad(false);
  expect_close(layer(x), expected, kFold);
}

TEST(Residual, AddsItsInputWhereThereIsAShortcut) {
  Tensor x = normal({2, 4, 4, 3}, 1);
  for (bool shortcut : {false, true}) {
    Residual layer("block", conv_and_norm(3, 3, Activation::relu), shortcut);
    Tensor branch = layer.branch(x);
    expect_close(layer(x), shortcut ? add(branch, x) : branch, kFold);
  }
}

// In training every image has either x or x + branch(x) / (1 - p).
TEST(Residual, DropsItsBranchByImage) {
  Residual layer("block", conv_and_norm(3, 3, Activation::none), true, 0.5f);
  layer.requires_grad(true);
  each_module(layer, [](auto&, Module& m) {
    if (auto* norm = dynamic_cast<BatchNorm2d*>(&m)) norm->policy(NormPolicy::affine);
  });
  layer.train();
  Tensor x = normal({40, 4, 4, 3}, 1);
  auto at = [&](uint64_t step) {
    set_random_step(layer, 7, step);
    return layer(x);
  };
  Tensor y = at(1), branch = layer.branch(x);
  int dropped = 0;
  for (int64_t n = 0; n < 40; ++n) {
    bool kept = y.data()[n * 48] != x.data()[n * 48];
    dropped += !kept;
    for (int64_t i = n * 48; i < n * 48 + 48; ++i)
      ASSERT_NEAR(y.data()[i], x.data()[i] + (kept ? 2 * branch.data()[i] : 0), 1e-5) << n;
  }
  EXPECT_GT(dropped, 8);
  EXPECT_LT(dropped, 32);
  EXPECT_TRUE(same_bits(y.detach(), at(1).detach()));
  EXPECT_FALSE(same_bits(y.detach(), at(2).detach()));
}

TEST(StochasticDepth, RestsWhereNothingLearns) {
  Residual layer("block", conv_and_norm(3, 3, Activation::none), true, 0.9f);
  layer.requires_grad(false);
  Tensor x = normal({8, 4, 4, 3}, 1), still = layer(x);
  layer.train();
  expect_close(layer(x), still, kFold);
  Tensor learning = x.clone();
  learning.requires_grad(true);
  EXPECT_FALSE(same_bits(layer(learning).detach(), still));
}

TEST(StochasticDepth, TheGradientHasTheSameMask) {
  StochasticDepth layer(0.4f);
  layer.train();
  Tensor x = Tensor::full({30, 4}, 1);
  x.requires_grad(true);
  Tensor y = layer(x);
  sum(y).backward();
  EXPECT_TRUE(same_bits(x.grad(), y.detach()));
}

TEST(Branches, AreSideBySideUnderTheirLayersNames) {
  Branches layer;
  Sequential left, right;
  left.add("one", Conv2d(3, 2, {}));
  right.add("pool", MaxPool2d(3, 1, 1)).add("two", Conv2d(3, 4, {}));
  layer.add(std::move(left)).add(std::move(right));
  initialize(layer, 1);
  EXPECT_EQ(layer(normal({1, 4, 4, 3}, 1)).shape(), (Shape{1, 4, 4, 6}));
  std::vector<std::string> paths;
  each_param(layer, [&](auto& path, Param&) { paths.push_back(path); });
  EXPECT_EQ(paths, (std::vector<std::string>{"one.weight", "one.bias", "two.weight", "two.bias"}));
}

TEST(LayerNorm, StartsAsTheStandardNorm) {
  LayerNorm layer(50);
  initialize(layer, 1);
  Tensor x = normal({3, 2, 2, 50}, 1, 5), y = layer(x);
  for (int64_t row = 0; row < 12; ++row) {
    double sum = 0, squares = 0;
    for (int64_t j = 0; j < 50; ++j) sum += y.data()[row * 50 + j], squares += std::pow(y.data()[row * 50 + j], 2);
    EXPECT_NEAR(sum, 0, 1e-4);
    EXPECT_NEAR(squares, 50, 1e-3);
  }
}

}  // namespace
}  // namespace graft
