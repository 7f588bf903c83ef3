// Vectors at length 1, whose products are cosines.
#pragma once
#include "core/tensor.h"

namespace graft {

// Every row of (...,C) at length 1; 0 where it is 0.
Tensor directions(const Tensor& rows);
// The same times e^l, l (1) at most ln 100.
Tensor directions(const Tensor& rows, const Tensor& log_factor);
// The direction of features (N,C), or of the means over maps (N,H,W,C): (N,C).
Tensor mean_direction(const Tensor& features);

}  // namespace graft
