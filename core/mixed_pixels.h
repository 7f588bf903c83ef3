// Normalised pixels of images that are two in one (kernels/mix.h).
#pragma once
#include "core/tensor.h"
#include "kernels/augment.h"

namespace graft {

struct PixelMix {   // where the pixels are
  Tensor partners;  // (N) i32, each in [0, N)
  Tensor share;     // () f32: of each image itself
  Tensor box;       // (4) i32: x0, y0, x1, y1
};

// Of u8 pixels (N,H,W,3), in the type `dtype`.
Tensor normalize_mixed(const Tensor& pixels, const Normalization& n, const PixelMix& mix,
                       DType dtype = DType::f32);

}  // namespace graft
