// Moments of a convolution's result that its kernel has left behind on a CUDA device: the batch norm
// that comes next has its statistics from them, and need not read the result twice.
#pragma once
#include "core/ops.h"
#include "kernels/moments.h"

namespace graft {

// conv2d for such a batch norm. Where the kernel leaves no moments (core/conv_kernels.cpp says which
// do), and on the processor, the same as conv2d.
Tensor conv2d_with_moments(const Tensor& x, const Tensor& w, const Tensor& bias,
                           const ConvSpec& spec);

struct KnownMoments {
  Tensor of;  // (tiles, channels, 2) f32
  cuda::TileGrid tiles;
};

// Of all values of x; `of` is undefined where nobody knows them, or they were changed since. Nobody
// knows them afterwards, so that their memory is free when the caller is done.
KnownMoments take_moments(const Tensor& x);

}  // namespace graft
