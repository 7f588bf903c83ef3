#include "core/autograd.h"
#include "kernels/memory.h"
#include "layers/linear.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

Linear frozen_linear(int64_t in, int64_t out) {
  Linear layer(in, out);
  layer.weight.copy_from(normal({out, in}, 5));
  layer.bias.copy_from(normal({out}, 6));
  layer.requires_grad(false);
  return layer;
}

TEST(Linear, FrozenGivesWhatItsOperationGives) {
  Linear layer = frozen_linear(600, 450);
  for (int64_t rows : {1, 2, 5, 32, 7, 1, 33}) {
    Tensor x = normal({rows, 600}, uint64_t(rows));
    expect_close(layer(x), linear(x, layer.weight, layer.bias), 2e-6);
  }
}

TEST(Linear, FrozenIsHeldOnceAndFollowsChanges) {
  Linear layer = frozen_linear(600, 450);
  const Tensor before = layer.weight.clone();
  Tensor x = normal({4, 600}, 1);
  const size_t live = cpu::memory_use().live;
  Tensor y = layer(x);
  EXPECT_LE(cpu::memory_use().live, live + y.bytes() + before.bytes() / 4);
  EXPECT_TRUE(same_bits(layer.weight, before));
  layer.weight.mutable_data()[3] += 1;
  layer.bias.mutable_data()[3] += 1;
  EXPECT_FALSE(same_bits(layer(x), y));
  expect_close(layer(x), linear(x, layer.weight, layer.bias), 2e-6);
}

TEST(Linear, FrozenPassesTheGradientOfItsInput) {
  Linear layer = frozen_linear(60, 45);
  std::vector<Tensor> grads;
  for (bool packed : {true, false}) {
    Tensor x = normal({4, 60}, 1);
    x.requires_grad(true);
    sum(mul(packed ? layer(x) : linear(x, layer.weight, layer.bias), normal({4, 45}, 2))).backward();
    grads.push_back(x.grad());
  }
  expect_close(grads[0], grads[1], 2e-6);
  EXPECT_FALSE(layer.weight.grad().defined());
}

TEST(Linear, InAnOptimiserItIsNeverPacked) {  // its values are part of a larger storage
  Linear layer(60, 45);
  layer.weight.copy_from(normal({45, 60}, 5));
  layer.bias.copy_from(normal({45}, 6));
  Optimizer optimizer(layer, {});
  Tensor x = normal({4, 60}, 1);
  NoGrad off;
  layer(x);
  EXPECT_FALSE(layer.frozen.packed.impl);
}

}  // namespace
}  // namespace graft
