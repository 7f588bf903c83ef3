#include <gtest/gtest.h>

#include "core/autograd.h"
#include "core/ops.h"

namespace graft {
namespace {

Tensor leaf(Shape shape, float value) {
  Tensor t = Tensor::full(std::move(shape), value);
  return t.requires_grad(true);
}

TEST(Autograd, ChainRule) {
  Tensor x = leaf({2, 3}, 2);
  mean(mul(x, x)).backward();
  for (int i = 0; i < 6; ++i) EXPECT_FLOAT_EQ(x.grad().data()[i], 4.0f / 6);
}

TEST(Autograd, SharedInputsAddUp) {
  Tensor x = leaf({4}, 3);
  sum(add(add(x, x), mul(x, x))).backward();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(x.grad().data()[i], 8);
}

TEST(Autograd, GradientsOfTwoInputsAreNotOneArray) {
  Tensor a = leaf({2}, 1), b = leaf({2}, 1);
  Tensor y = add(a, b);
  sum(add(y, a)).backward();
  EXPECT_EQ(a.grad().data()[0], 2);
  EXPECT_EQ(b.grad().data()[0], 1);
}

TEST(Autograd, BackwardTwiceAccumulatesOnLeaves) {
  Tensor x = leaf({2}, 1);
  sum(scale(x, 3)).backward();
  sum(scale(x, 4)).backward();
  EXPECT_EQ(x.grad().data()[0], 7);
  x.set_grad({});
  EXPECT_FALSE(x.grad().defined());
}

TEST(Autograd, GradientsGoIntoAnArenaInPlace) {
  Tensor arena = Tensor::zeros({6}), x = leaf({2}, 1), y = leaf({4}, 2);
  x.set_grad(view_of(arena, 0, {2}));
  y.set_grad(view_of(arena, 2, {4}));
  const float* storage = arena.data();
  for (int step = 1; step <= 2; ++step) {
    add(sum(scale(x, 3)), sum(mul(y, y))).backward();
    EXPECT_EQ(arena.data(), storage);
    EXPECT_EQ(arena.data()[0], 3 * step);
    EXPECT_EQ(arena.data()[5], 4 * step);
  }
}

TEST(Autograd, NothingIsRecordedForFrozenInputs) {
  Tensor x = Tensor::full({2, 3}, 1), w = Tensor::full({4, 3}, 1);
  Tensor y = linear(x, w, {});
  EXPECT_FALSE(y.requires_grad());
  EXPECT_EQ(node_of(y), nullptr);
  EXPECT_THROW(sum(y).backward(), Error);
}

TEST(Autograd, NoGradRecordsNothing) {
  Tensor x = leaf({2}, 1);
  {
    NoGrad off;
    EXPECT_FALSE(relu(x).requires_grad());
    EXPECT_FALSE(recording({&x}));
    { NoGrad again; }
    EXPECT_FALSE(recording({&x}));
  }
  EXPECT_TRUE(recording({&x}));
  EXPECT_TRUE(relu(x).requires_grad());
}

// The storage of a tensor, to ask whether anybody still holds it.
std::weak_ptr<Storage> storage_of(const Tensor& t) { return t.impl()->storage; }

TEST(Autograd, ATrainedWeightKeepsItsActivation) {
  Tensor x = leaf({2, 3}, 1), w = leaf({4, 3}, 1);
  Tensor h = scale(x, 2);
  auto kept = storage_of(h);
  Tensor y = linear(h, w, {});
  h = Tensor();
  EXPECT_FALSE(kept.expired());
  sum(y).backward();
  EXPECT_TRUE(kept.expired());  // freed on the way, though y lives
}

TEST(Autograd, AFrozenWeightKeepsNoActivation) {
  Tensor x = leaf({2, 3}, 1), w = Tensor::full({4, 3}, 1);
  Tensor h = scale(x, 2);
  auto values = storage_of(h);
  Tensor y = linear(h, w, {});
  h = Tensor();  // only the graph is left, and it may not need the values
  EXPECT_TRUE(values.expired());
  sum(y).backward();
  EXPECT_EQ(x.grad().data()[0], 8);
}

// Whether the input's values are among those that the graph of op(x) holds.
template <class Op>
bool keeps_input(Op op) {
  Tensor x = leaf({1, 4, 4, 3}, 1);
  Tensor h = scale(x, 2);
  auto values = storage_of(h);
  Tensor y = op(h);
  h = Tensor();
  return !values.expired();
}

TEST(Autograd, OperationsKeepOnlyWhatTheirGradientsRead) {
  Tensor one = Tensor::full({3}, 1), zero = Tensor::zeros({3}), trained = leaf({3}, 1);
  EXPECT_FALSE(keeps_input([](const Tensor& h) { return relu(h); }));
  EXPECT_FALSE(keeps_input([](const Tensor& h) { return sigmoid(h); }));
  EXPECT_TRUE(keeps_input([](const Tensor& h) { return gelu(h); }));
  EXPECT_FALSE(keeps_input([](const Tensor& h) { return max_pool2d(h, {}); }));
  EXPECT_FALSE(keeps_input([](const Tensor& h) { return avg_pool2d(h, {}); }));
  EXPECT_FALSE(keeps_input([](const Tensor& h) { return dropout(h, 0.5f, 1, random_step(1)); }));
  EXPECT_FALSE(keeps_input([](const Tensor& h) { return softmax(h); }));
  EXPECT_FALSE(keeps_input([](const Tensor& h) { return pad(h, {1, 1, 1, 1}, 0); }));
  EXPECT_FALSE(keeps_input([&](const Tensor& h) { return mul(h, one); }));
  EXPECT_TRUE(keeps_input([&](const Tensor& h) { return mul(h, trained); }));
  auto frozen_norm = [&](const Tensor& gamma, const Tensor& beta) {
    return keeps_input([&](const Tensor& h) {
      return batch_norm_frozen(h, gamma, beta, zero, one, 1e-5f, Activation::relu, h.clone());
    });
  };
  EXPECT_FALSE(frozen_norm(one, zero));
  EXPECT_FALSE(frozen_norm(one, trained));
  EXPECT_TRUE(frozen_norm(trained, zero));
}

TEST(Autograd, ConvolutionsKeepOnlyWhatTheirGradientsRead) {
  Tensor stays = Tensor::full({3, 3, 3, 3}, 1), learns = leaf({3, 3, 3, 3}, 1);
  Tensor bias = leaf({3}, 1), other = Tensor::full({1, 4, 4, 3}, 1);
  FrozenFilter frozen{.weight = stays, .scale = Tensor::full({3}, 2), .version = 1};
  const ConvSpec same{.padding = {1, 1, 1, 1}};
  for (Activation a : {Activation::none, Activation::relu, Activation::silu}) {
    SCOPED_TRACE(name_of(a));
    auto keeps = [&](auto& w, const Tensor& b) {
      return keeps_input([&](const Tensor& h) { return conv2d(h, w, b, same, a); });
    };
    EXPECT_FALSE(keeps(stays, {}));
    EXPECT_FALSE(keeps(stays, bias));
    EXPECT_FALSE(keeps(frozen, {}));
    EXPECT_FALSE(keeps(frozen, bias));
    EXPECT_TRUE(keeps(learns, {}));
    auto keeps_residual = [&](auto& w) {
      return keeps_input([&](const Tensor& h) { return conv2d(other, w, {}, same, a, h); });
    };
    EXPECT_FALSE(keeps_residual(stays));
    EXPECT_FALSE(keeps_residual(frozen));
    EXPECT_FALSE(keeps_residual(learns));
  }
}

// No gradient of these reads a value.
TEST(Autograd, AGraphHoldsNoValuesOfItsOwn) {
  Tensor x = leaf({1000}, 1), h = x;
  std::vector<std::weak_ptr<Storage>> values;
  for (int i = 0; i < 5; ++i) {
    h = add(scale(h, 2), h);
    values.push_back(storage_of(h));
  }
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(values[size_t(i)].expired()) << i;
  sum(h).backward();
  EXPECT_EQ(x.grad().data()[0], 243);
}

TEST(Autograd, TheGraphIsFreedByBackward) {
  Tensor x = leaf({8}, 1);
  std::weak_ptr<Node> node;
  Tensor y;
  {
    Tensor h = relu(x);
    node = node_of(h);
    y = sum(h);
  }
  EXPECT_FALSE(node.expired());
  y.backward();
  EXPECT_TRUE(node.expired());
  EXPECT_EQ(node_of(y), nullptr);
}

TEST(Autograd, AnUnusedGraphIsFreedToo) {
  Tensor x = leaf({8}, 1);
  std::weak_ptr<Tensor::Impl> inner;
  {
    Tensor h = sigmoid(x);  // its closure holds its own output, detached
    inner = h.impl();
    Tensor y = softmax(h);
  }
  EXPECT_TRUE(inner.expired());
}

TEST(Autograd, DeepChainsDoNotOverflowTheStack) {
  constexpr int kDepth = 100000;
  Tensor x = leaf({1}, 1), y = x;
  for (int i = 0; i < kDepth; ++i) y = add(y, x);
  y.backward();
  EXPECT_EQ(x.grad().item(), kDepth + 1);
}

TEST(Autograd, DeepChainsAreFreedWithoutBackward) {
  Tensor y = leaf({1}, 1);
  for (int i = 0; i < 10000; ++i) y = scale(y, 1);
  y = Tensor();
}

TEST(Autograd, BackwardStartsAtAScalar) { EXPECT_THROW(scale(leaf({2}, 1), 2).backward(), Error); }

TEST(Autograd, DropoutReplaysItsMask) {
  Tensor x = leaf({1000}, 1);
  Tensor y = dropout(x, 0.25f, 42, random_step(7));
  sum(y).backward();
  int dropped = 0;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(x.grad().data()[i], y.data()[i]);  // x is all ones
    EXPECT_TRUE(y.data()[i] == 0 || std::abs(y.data()[i] - 4.0f / 3) < 1e-6f);
    dropped += y.data()[i] == 0;
  }
  EXPECT_NEAR(dropped, 250, 60);
  auto same = [&](uint64_t seed, uint64_t step) {
    Tensor other = dropout(x, 0.25f, seed, random_step(step));
    return std::equal(y.data(), y.data() + 1000, other.data());
  };
  EXPECT_TRUE(same(42, 7));
  EXPECT_FALSE(same(42, 8));
  EXPECT_FALSE(same(43, 7));
  EXPECT_EQ(sum(dropout(x, 1, 1, random_step(1))).item(), 0);
  EXPECT_EQ(dropout(x, 0, 1, random_step(1)).raw(), x.raw());
}

TEST(Autograd, BatchNormMovesRunningStatistics) {
  Tensor x = Tensor::from({4, 1}, {1, 2, 3, 6}), one = Tensor::full({1}, 1),
         zero = Tensor::zeros({1});
  Tensor mean = Tensor::full({1}, 10), var = Tensor::full({1}, 20);
  batch_norm_train(x, one, zero, mean, var, 0.1f, 1e-5f);
  EXPECT_FLOAT_EQ(mean.item(), 0.9f * 10 + 0.1f * 3);
  EXPECT_FLOAT_EQ(var.item(), 0.9f * 20 + 0.1f * 14 / 3);  // unbiased: 14 / (4 - 1)
  batch_norm_train(x, one, zero, mean, var, 0.1f, 1e-5f, Activation::none, {}, false);
  EXPECT_FLOAT_EQ(mean.item(), 9.3f);
}

TEST(Autograd, BatchNormIsStableFarFromZero) {
  Tensor x({1000, 3});
  for (int i = 0; i < 3000; ++i) x.mutable_data()[i] = 10000.0f + float(i % 7);
  Tensor mean = Tensor::zeros({3}), var = Tensor::zeros({3});
  batch_norm_train(x, {}, {}, mean, var, 1.0f, 1e-5f);
  EXPECT_NEAR(mean.data()[0], 10003, 0.01);
  EXPECT_NEAR(var.data()[0], 4.0, 0.02);
}

}  // namespace
}  // namespace graft
