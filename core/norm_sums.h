// Sums of the gradient of a batch norm's result that the convolution which read it has left on a
// CUDA device: of the two passes that the norm's own gradient makes over memory, the first is done
// then.
#pragma once
#include "core/tensor.h"

namespace graft {

struct NormSums {
  Tensor of;    // (tiles, 2, channels) f32: kernels/moments.h
  Tensor mean;  // of the norm: whose they are
};

// Of the norm with that mean, over all values of dy; undefined where nobody knows them: the norm's
// result had other readers, so that dy is a sum, or none that leaves them (core/conv_kernels.cpp).
Tensor norm_sums(const Tensor& dy, const Tensor& mean);

}  // namespace graft
