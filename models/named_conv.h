// Convolution, norm and ReLU under the names that GoogLeNet and Inception gave them.
#pragma once
#include "layers/activation.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/sequential.h"

namespace graft {

inline Sequential named_conv(int64_t in, int64_t out, Conv2dOptions options = {},
                             float momentum = 0.1f) {
  options.bias = false;
  Sequential block;
  block.add("conv", Conv2d(in, out, options)).add("bn", BatchNorm2d(out, 1e-3f, momentum));
  block.add("relu", relu_layer());
  return block;
}

}  // namespace graft
