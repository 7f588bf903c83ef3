// Normalised pixels on a CUDA device that are made when they are first read, and what of: a first
// convolution and the gradient of its filters take the bytes themselves and normalise them on their
// way into the kernel.
#pragma once
#include "core/tensor.h"
#include "kernels/augment.h"

namespace graft {

struct PixelSource {
  Tensor pixels;  // (N,H,W,3) u8
  Normalization normalization;
};

Tensor normalized_when_read(const PixelSource& source, DType dtype);
// What all values of x are made of; null where it is nothing of the kind, or they were changed since.
const PixelSource* pixel_source(const Tensor& x);

}  // namespace graft
