#include "core/autograd.h"
#include "kernels/memory.h"
#include "layers/conv_norm_act.h"
#include "layers/residual.h"
#include "layers/state.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

constexpr double kFold = 2e-6, kWinograd = 3e-5;  // shares of the largest value

struct Block {
  Block(int64_t in, int64_t out, Conv2dOptions o = {.kernel = 3, .padding = 1, .bias = true})
      : conv(in, out, o), norm(out) {
    conv.weight.copy_from(normal(conv.weight.shape(), 5, 1 / std::sqrt(9.0f * float(in))));
    if (conv.bias.defined()) conv.bias.copy_from(normal({out}, 6));
    randomise(norm, 7);
    freeze();
  }
  void freeze() {
    conv.requires_grad(false);
    norm.requires_grad(false);
  }
  Tensor fused(Tensor x, Tensor residual = {}, Activation a = Activation::relu) {
    return conv_norm_act(std::move(x), conv, &norm, a, std::move(residual));
  }
  // The same from its single operations.
  Tensor plain(const Tensor& x, const Tensor& residual = {}, Activation a = Activation::relu) {
    Tensor y = conv2d(x, conv.weight, conv.bias, conv.spec);
    y = batch_norm_frozen(y, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps);
    if (residual.defined()) y = add(y, residual);
    return a == Activation::none ? y : activate(y, a);
  }
  Conv2d conv;
  BatchNorm2d norm;
};

TEST(ConvNormAct, FoldedEqualsItsOperations) {
  const Conv2dOptions options[] = {{.kernel = 1, .bias = false},
                                   {.kernel = 3, .stride = 2, .padding = 1, .bias = false},
                                   {.kernel = 3, .padding = 1, .groups = 3},
                                   {.kernel = 3, .padding = 2, .dilation = 2}};
  for (auto& o : options)
    for (auto a : {Activation::none, Activation::relu, Activation::silu})
      for (bool with_residual : {false, true}) {
        Block block(6, 9, o);
        Tensor x = normal({2, 7, 8, 6}, 1);
        Tensor residual = with_residual ? normal(block.plain(x).shape(), 2) : Tensor();
        expect_close(block.fused(x, residual, a), block.plain(x, residual, a), kFold);
      }
}

TEST(ConvNormAct, NoNorm) {
  Block block(4, 5);
  Tensor x = normal({2, 6, 6, 4}, 1), residual = normal({2, 6, 6, 5}, 2);
  Tensor expected =
      relu(add(conv2d(x, block.conv.weight, block.conv.bias, block.conv.spec), residual));
  expect_close(conv_norm_act(x, block.conv, nullptr, Activation::relu, residual), expected, kFold);
}

TEST(ConvNormAct, EveryChangedValueIsNoticed) {
  Block block(4, 6);
  Tensor x = normal({2, 6, 6, 4}, 1);
  std::vector<std::pair<const char*, Tensor>> parts = {
      {"weight", block.conv.weight},     {"bias", block.conv.bias},
      {"gamma", block.norm.weight},      {"beta", block.norm.bias},
      {"mean", block.norm.running_mean}, {"var", block.norm.running_var}};
  for (auto& [name, t] : parts) {
    SCOPED_TRACE(name);
    Tensor before = block.fused(x);
    t.copy_from(uniform(t.shape(), 50, 0.4f, 1.4f));
    EXPECT_FALSE(same_bits(before, block.fused(x)));
    expect_close(block.fused(x), block.plain(x), kFold);
    t.mutable_data()[0] += 1;
    expect_close(block.fused(x), block.plain(x), kFold);
  }
}

TEST(ConvNormAct, EvaluationBetweenUpdatesSeesTheNewValues) {
  SmallNet net;
  Optimizer optimizer(net, {});
  Tensor x = normal({4, 9, 9, 3}, 1);
  for (int step = 0; step < 3; ++step) {
    train_step(net, optimizer, x, labels_of(4, 4));
    net.eval();
    NoGrad off;
    Tensor y = conv2d(x, net.conv1.weight, {}, net.conv1.spec);
    y = relu(batch_norm_frozen(y, net.bn1.weight, net.bn1.bias, net.bn1.running_mean,
                               net.bn1.running_var, net.bn1.eps));
    expect_close(conv_norm_act(x, net.conv1, &net.bn1, Activation::relu), y, kFold);
  }
}

TEST(ConvNormAct, LoadingStateIsNoticed) {
  SmallNet net(1), other(2);
  net.eval(), other.eval();
  NoGrad off;
  Tensor x = normal({2, 9, 9, 3}, 1);
  EXPECT_FALSE(same_bits(net(x), other(x)));
  load_state(net, state(other));
  EXPECT_TRUE(same_bits(net(x), other(x)));
}

// A large frozen filter is held once: packed. Its values come back when somebody reads them.
TEST(ConvNormAct, LargeFilterIsPutAwayAndComesBack) {
  Block block(512, 512, {.kernel = 1, .bias = false});
  const Tensor before = block.conv.weight.clone();
  Tensor x = normal({2, 5, 5, 512}, 1);
  const Tensor expected = block.plain(x);
  const size_t live = cpu::memory_use().live;
  Tensor y = block.fused(x);
  EXPECT_LE(cpu::memory_use().live, live + y.bytes() + before.bytes() / 4);
  expect_close(y, expected, kFold);
  EXPECT_TRUE(same_bits(published(block.conv.weight).reshape({512, 1, 1, 512}), before));
  EXPECT_LE(cpu::memory_use().live, live + y.bytes() + before.bytes() / 4) << "after reading it";
  EXPECT_TRUE(same_bits(block.conv.weight, before));

  expect_close(block.fused(x), expected, kFold);
  block.conv.weight.mutable_data()[7] += 1;  // brought back, changed, packed anew
  EXPECT_FALSE(same_bits(block.conv.weight, before));
  expect_close(block.fused(x), block.plain(x), kFold);
  block.conv.weight.copy_from(before);
  expect_close(block.fused(x), expected, kFold);
}

TEST(ConvNormAct, AFilterThatWasPutAwayCanLearnAgain) {
  Block block(512, 512, {.kernel = 1, .bias = false});
  const Tensor before = block.conv.weight.clone();
  Tensor x = normal({2, 5, 5, 512}, 1);
  block.fused(x);
  block.conv.requires_grad(true);
  Optimizer optimizer(block.conv, {});
  EXPECT_TRUE(same_bits(block.conv.weight, before));
  sum(block.fused(x)).backward();
  optimizer.step(0.1);
  EXPECT_FALSE(same_bits(block.conv.weight, before));
  NoGrad off;
  expect_close(block.fused(x), block.plain(x), kFold);
}

TEST(ConvNormAct, WinogradShapesInAnyOrder) {
  Block block(32, 48);
  for (bool with_residual : {false, true})
    for (int64_t n : {1, 3, 4, 5, 9, 4, 1, 8})
      for (int64_t side : {22, 20, 7, 21}) {
        SCOPED_TRACE(fmt::format("batch {}, side {}", n, side));
        Tensor x = normal({n, side, side + 1, 32}, uint64_t(n * 100 + side));
        Tensor residual = with_residual ? normal({n, side, side + 1, 48}, 3) : Tensor();
        expect_close(block.fused(x, residual), block.plain(x, residual), kWinograd);
      }
}

TEST(ConvNormAct, WinogradFilterIsRefreshed) {
  Block block(32, 32);
  for (int round = 0; round < 3; ++round)
    for (int64_t n : {5, 1, 4}) {
      Tensor x = normal({n, 22, 22, 32}, 1);
      expect_close(block.fused(x), block.plain(x), kWinograd);
      block.norm.weight.mutable_data()[round] *= 3;
      expect_close(block.fused(x), block.plain(x), kWinograd);
    }
}

TEST(ConvNormAct, ResidualThatOthersHoldIsNeverOverwritten) {
  for (int64_t channels : {8, 32}) {  // direct, and Winograd
    Block block(channels, channels);
    Tensor x = normal({5, 22, 22, channels}, 1);
    const Tensor before = x.clone(), expected = block.plain(x, x);

    expect_close(block.fused(x, x), expected, kWinograd);  // the input itself
    EXPECT_TRUE(same_bits(x, before));
    Tensor copy = before.clone(), holder = copy;
    expect_close(block.fused(x, std::move(copy)), expected, kWinograd);  // a second handle
    EXPECT_TRUE(same_bits(holder, before));
    Tensor view = holder.detach();
    expect_close(block.fused(x, std::move(view)), expected, kWinograd);  // another view
    EXPECT_TRUE(same_bits(holder, before));
    Tensor flat = holder.reshape({-1}), again = flat.reshape(x.shape());
    holder = {};
    expect_close(block.fused(x, std::move(again)), expected, kWinograd);  // only a view remains
    EXPECT_EQ(std::memcmp(flat.raw(), before.raw(), flat.bytes()), 0);
  }
}

TEST(ConvNormAct, ResidualThatNobodyHoldsIsReused) {
  Block block(8, 8);
  Tensor x = normal({2, 6, 6, 8}, 1), residual = normal({2, 6, 6, 8}, 2);
  const Tensor expected = block.plain(x, residual);
  const void* storage = residual.raw();
  Tensor y = block.fused(x, std::move(residual));
  EXPECT_EQ(y.raw(), storage);
  expect_close(y, expected, kFold);
}

TEST(ConvNormAct, ResidualStaysWhenAGradientIsRecorded) {
  Block block(8, 8);
  Tensor x = normal({2, 6, 6, 8}, 1), residual = normal({2, 6, 6, 8}, 2);
  x.requires_grad(true);
  std::weak_ptr<Storage> storage = residual.impl()->storage;
  Tensor y = block.fused(x, std::move(residual));
  EXPECT_NE(y.raw(), storage.lock() ? storage.lock()->values() : nullptr);
}

// Sum of y times fixed numbers, so that every element has its own gradient.
Tensor probe(const Tensor& y) { return sum(mul(y, normal(y.shape(), 11))); }

TEST(ConvNormAct, FrozenWithLiveInputGivesTheSameGradients) {
  for (int64_t channels : {8, 32})
    for (auto a : {Activation::none, Activation::relu, Activation::silu}) {
      Block block(channels, channels);
      std::vector<Tensor> grads;
      for (bool fused : {true, false}) {
        Tensor x = normal({5, 22, 22, channels}, 1), residual = normal({5, 22, 22, channels}, 2);
        x.requires_grad(true), residual.requires_grad(true);
        probe(fused ? block.fused(x, residual, a) : block.plain(x, residual, a)).backward();
        grads.insert(grads.end(), {x.grad(), residual.grad()});
        EXPECT_FALSE(block.conv.weight.grad().defined());
      }
      // Winograd's rounding may turn the sign of an activation next to zero: compare the norms.
      for (int i : {0, 1}) {
        double difference = 0, size = 0;
        for (int64_t j = 0; j < grads[size_t(i)].size(); ++j) {
          double u = grads[size_t(i)].data()[j], v = grads[size_t(i) + 2].data()[j];
          difference += (u - v) * (u - v), size += v * v;
        }
        EXPECT_LE(std::sqrt(difference), 1e-3 * std::sqrt(size));
      }
    }
}

// ---- what is kept for the gradient -----------------------------------------------------------

// Bytes that are in use while the result of a frozen layer with live input is: itself included, x not,
// which nobody else holds. `warm` has packed the filters before.
template <class Run>
size_t held_by(const Run& run, const Shape& shape) {
  Tensor before_x = normal(shape, 1).requires_grad(true);
  run(scale(before_x, 2));
  const size_t live = cpu::memory_use().live;
  const Tensor y = run(scale(before_x, 2));
  EXPECT_TRUE(y.requires_grad());
  return cpu::memory_use().live - live;
}

TEST(ConvNormAct, FrozenWithLiveInputKeepsItsResultAlone) {
  const Shape shape{2, 8, 8, 16};
  const size_t map = 4 * 2 * 8 * 8 * 16;
  for (auto a : {Activation::none, Activation::relu, Activation::silu})
    for (bool with_norm : {true, false})
      for (bool with_residual : {false, true}) {
        SCOPED_TRACE(fmt::format("{}, norm {}, residual {}", name_of(a), with_norm, with_residual));
        Block block(16, 16);
        Tensor other = normal(shape, 2).requires_grad(true);
        auto run = [&](Tensor x) {
          Tensor residual = with_residual ? scale(other, 2) : Tensor();
          return conv_norm_act(std::move(x), block.conv, with_norm ? &block.norm : nullptr, a, residual);
        };
        EXPECT_EQ(held_by(run, shape), a == Activation::silu ? 2 * map : map);  // and what SiLU was of
      }
}

TEST(ConvNormAct, AWholeFrozenBlockKeepsItsInnerActivationAlone) {
  const Shape shape{2, 8, 8, 16};
  const size_t map = 4 * 2 * 8 * 8 * 16;
  for (bool shortcut : {true, false}) {
    Sequential branch;
    auto conv = [] { return Conv2d(16, 16, {.kernel = 3, .padding = 1, .bias = false}); };
    branch.add(conv()).add(BatchNorm2d(16)).add(relu_layer()).add(conv()).add(BatchNorm2d(16));
    Residual block("conv", std::move(branch), shortcut);
    initialize(block, 1);
    block.requires_grad(false);
    block.train();
    EXPECT_EQ(held_by([&](Tensor x) { return block(std::move(x)); }, shape), 2 * map);
    EXPECT_EQ(held_by([&](Tensor x) { return relu(block(std::move(x))); }, shape), 2 * map);
  }
}

TEST(ConvNormAct, AFrozenFilterUnderAGradientIsHeldOnce) {
  Block block(512, 512, {.kernel = 1, .bias = false});
  const Tensor filter = block.conv.weight.clone();
  Tensor x = normal({2, 5, 5, 512}, 1).requires_grad(true);
  probe(block.plain(x, {}, Activation::none)).backward();
  const Tensor expected = x.grad();
  x.set_grad({});
  const size_t live = cpu::memory_use().live;
  auto held = [&] { return cpu::memory_use().live - live; };
  for (int step = 0; step < 3; ++step) {
    Tensor y = block.fused(x, {}, Activation::none);
    EXPECT_LE(held(), y.bytes() + filter.bytes() / 4) << step;
    probe(y).backward();
    y = {};
    expect_close(x.grad(), expected, kFold);
    x.set_grad({});
    EXPECT_LE(held(), filter.bytes() / 4) << step;
  }
  EXPECT_TRUE(same_bits(block.conv.weight, filter));
}

TEST(ConvNormAct, MovingTheInputFreesItEarly) {
  Block block(8, 8);
  Tensor x = normal({2, 6, 6, 8}, 1);
  std::weak_ptr<Storage> storage = x.impl()->storage;
  Tensor y = block.fused(std::move(x));
  EXPECT_TRUE(storage.expired());
}

}  // namespace
}  // namespace graft
