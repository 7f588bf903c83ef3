// TensorFlow's "same" padding, by pixels counted by hand.
#include "core/autograd.h"
#include "layers/conv_norm_act.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

using Padding = std::array<int, 4>;  // top, left, bottom, right

Padding padding_for(Conv2dOptions o, int64_t height, int64_t width) {
  o.same = true;
  return Conv2d(1, 1, o).spec_for(Tensor({1, height, width, 1})).padding;
}

TEST(SamePadding, DependsOnTheSide) {
  EXPECT_EQ(padding_for({.kernel = 3, .stride = 2}, 8, 7), (Padding{0, 1, 1, 1}));
  EXPECT_EQ(padding_for({.kernel = 5, .stride = 2}, 8, 7), (Padding{1, 2, 2, 2}));
  EXPECT_EQ(padding_for({.kernel = 3}, 8, 7), (Padding{1, 1, 1, 1}));
  EXPECT_EQ(padding_for({.kernel = 1, .stride = 2}, 8, 7), (Padding{0, 0, 0, 0}));
  EXPECT_EQ(padding_for({.kernel = {1, 7}}, 8, 8), (Padding{0, 3, 0, 3}));
  EXPECT_EQ(padding_for({.kernel = 3, .dilation = 2}, 9, 9), (Padding{2, 2, 2, 2}));
  EXPECT_EQ(padding_for({.kernel = 2}, 5, 5), (Padding{0, 0, 1, 1}));
}

// Ones on ones count the pixels under the filter: at the end of an even side, at both of an odd
// one.
TEST(SamePadding, IsWhatRuns) {
  Conv2d conv(1, 1, {.kernel = 3, .stride = 2, .bias = false, .same = true});
  conv.weight.copy_from(Tensor::full({1, 3, 3, 1}, 1));
  for (bool learns : {false, true}) {
    conv.requires_grad(learns);
    Tensor even = conv(Tensor::full({1, 4, 4, 1}, 1)), odd = conv(Tensor::full({1, 3, 3, 1}, 1));
    ASSERT_EQ(even.shape(), (Shape{1, 2, 2, 1}));
    ASSERT_EQ(odd.shape(), (Shape{1, 2, 2, 1}));
    const float at_the_end[] = {9, 6, 6, 4};
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(even.data()[i], at_the_end[i]) << i;
      EXPECT_EQ(odd.data()[i], 4) << i;
    }
  }
}

}  // namespace
}  // namespace graft
