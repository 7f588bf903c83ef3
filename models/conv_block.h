// The block that the families after ResNet share: convolution without bias, norm, activation, as
// layers 0, 1 and 2 of a sequence. Padding keeps the size of the map at stride 1; with `same` it is
// TensorFlow's, which differs at other strides.
#pragma once
#include "layers/activation.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/sequential.h"

namespace graft {

struct ConvBlock {
  int kernel = 1, stride = 1, groups = 1;
  float eps = 1e-5f, momentum = 0.1f;  // of the norm
  bool same = false;
};

// A small image whose halves are odd and even: 75, 38, 19, 10, 5, 3.
constexpr int kOddSide = 75;

inline Sequential conv_block(int64_t in, int64_t out, Activation activation, ConvBlock b = {}) {
  Sequential block;
  block.add(Conv2d(in, out, {.kernel = b.kernel, .stride = b.stride, .padding = b.kernel / 2,
                             .groups = b.groups, .bias = false, .same = b.same}));
  block.add(BatchNorm2d(out, b.eps, b.momentum));
  if (activation != Activation::none) block.add(Activate(activation));
  return block;
}

// Widths in these families are multiples of 8, and never 10 % below what was asked for.
inline int64_t multiple_of_8(double width) {
  int64_t rounded = std::max<int64_t>(8, int64_t(width + 4) / 8 * 8);
  return double(rounded) < 0.9 * width ? rounded + 8 : rounded;
}

}  // namespace graft
