#include "layers/layer_rates.h"

#include <memory>
#include <set>

#include "layers/blocks.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

TEST(Blocks, OfASmallNetwork) {
  SmallNet net;
  std::vector<Block> blocks = blocks_of(net);
  ASSERT_EQ(blocks.size(), 3u);  // bn1 belongs to conv1
  EXPECT_EQ(blocks[0].path, "conv1");
  EXPECT_EQ(blocks[0].parameters, (std::vector<std::string>{"conv1.weight", "bn1.weight", "bn1.bias"}));
  EXPECT_EQ(blocks[1].path, "block");  // a convolution with its norm
  EXPECT_EQ(blocks[1].parameters.back(), "block.1.bias");
  EXPECT_EQ(blocks[2].parameters, (std::vector<std::string>{"fc.weight", "fc.bias"}));
}

TEST(LayerRates, DecayFromTheHead) {
  SmallNet net;
  auto factors = rate_factors(net, {.decay = 0.5}, 0.1);
  EXPECT_EQ(factors.at("fc.bias"), 1);
  EXPECT_EQ(factors.at("block.1.weight"), 0.5);
  EXPECT_EQ(factors.at("conv1.weight"), 0.25);
}

TEST(LayerRates, TheLastGlobThatMatchesCounts) {
  SmallNet net;
  auto factors = rate_factors(net, {0.5, {{"block", 0.02}, {"*.bias", 0.3}}}, 0.1);
  EXPECT_DOUBLE_EQ(factors.at("block.0.weight"), 0.2);
  EXPECT_DOUBLE_EQ(factors.at("block.1.bias"), 3);
  EXPECT_EQ(factors.at("conv1.weight"), 0.25);
}

TEST(LayerRates, WhatCannotBeIsSaid) {
  SmallNet net;
  net.conv1.requires_grad(false);
  for (const char* glob : {"cnv1", "conv1", "conv1.weight"}) {
    std::string message = error_of([&] { rate_factors(net, {1, {{glob, 0.1}}}, 0.1); }, Fault::usage);
    EXPECT_NE(message.find(glob), message.npos) << message;
  }
  for (const char* text : {"fc", "fc=", "=0.1", "fc=0", "fc=-1", "fc=0.1x", "fc=nan", "fc=inf", "fc=1e99"})
    error_of([&] { parse_rate(text); }, Fault::usage);
  EXPECT_EQ(parse_rate("layer4.*=0.25").rate, 0.25);
  EXPECT_EQ(parse_rate("layer4.*=0.25").glob, "layer4.*");
}

// A factor is a learning rate of its own: as many optimisers, each on its part.
TEST(LayerRates, AreThoseOfSeparateOptimizers) {
  for (auto kind : {OptimizerOptions::Kind::sgd, OptimizerOptions::Kind::adamw}) {
    SmallNet one, two;
    OptimizerOptions plain{.kind = kind, .weight_decay = 0.1};
    OptimizerOptions own = plain;
    own.rate_factors = rate_factors(one, {.decay = 0.25}, 1);
    Optimizer optimizer(one, own);
    std::vector<std::unique_ptr<Optimizer>> parts;
    auto add = [&](std::set<std::string> modules) {
      each_param(two, [&](auto& path, Param& p) { p.requires_grad(modules.contains(path.substr(0, path.find('.')))); });
      parts.push_back(std::make_unique<Optimizer>(two, plain));
    };
    for (int step = 0; step < 3; ++step)
      train_step(one, optimizer, normal({4, 9, 9, 3}, 1), labels_of(4, 4), 0.5);
    add({"fc"}), add({"block"}), add({"conv1", "bn1"});
    each_param(two, [](auto&, Param& p) { p.requires_grad(true); });
    for (int step = 0; step < 3; ++step) {
      for (auto& part : parts) part->zero_grad();
      two.train();
      cross_entropy(two(normal({4, 9, 9, 3}, 1)), labels_of(4, 4)).backward();
      double rate = 0.5;
      for (auto& part : parts) part->step(rate), rate *= 0.25;
    }
    EXPECT_TRUE(changed(snapshot(one), snapshot(two)).empty());
  }
}

}  // namespace
}  // namespace graft
