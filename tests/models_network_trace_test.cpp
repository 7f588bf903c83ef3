// How large a batch the convolutions of a CUDA device take, read from shapes alone.
#include "models/network_trace.h"

#include <gtest/gtest.h>

#include "layers/conv2d.h"
#include "models/chain.h"
#include "models/zoo.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

// What a convolution reads counts as what it makes does: here 3 channels, then 4, then one of half the side.
TEST(NetworkTrace, TheLargestMapDecides) {
  Sequential trunk, head;
  trunk.add(Conv2d(3, 4, {.kernel = 3, .padding = 1})).add(Conv2d(4, 1, {.kernel = 1, .stride = 2}));
  head.add(Linear(1, 2));
  Chain model(Chain::Part{"features", std::move(trunk)}, Chain::Part{"classifier", std::move(head)});
  model.train();
  EXPECT_EQ(largest_cuda_batch(model, 8), ((int64_t(1) << 31) - 1) / (8 * 8 * 4));
  EXPECT_EQ(largest_cuda_batch(model, 1 << 14), 1);
  EXPECT_EQ(largest_cuda_batch(model, 1 << 15), 0);
  EXPECT_TRUE(model.training());
}

// 668 maps of 224 x 224 x 64 have 2,145,124,352 values, and another one would be too many.
TEST(NetworkTrace, LargestBatchesOfPublishedNetworks) {
  EXPECT_EQ(largest_cuda_batch(*build_model("vgg16", 2), 224), 668);
  EXPECT_EQ(largest_cuda_batch(*build_model("resnet50", 2), 224), 2674);
}

}  // namespace
}  // namespace graft
