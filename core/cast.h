// Weights in the type of the activations that they meet: what learns is f32, and in mixed precision
// the kernels of a CUDA device read 16 bits. What was converted is kept beside a weight that stays
// as it is. One that learns would be converted for each step; so whoever changes its values, and
// has them at hand, can write such a copy in the same pass and lay it beside the weight.
#pragma once
#include "core/tensor.h"

namespace graft {

// w in `dtype`, without history: what lies beside it where that has w's values, or else converted.
Tensor cast(const Tensor& w, DType dtype);

// `copy`, like w but for its type, has the values that w has now. Work that changes w, captured
// work (core/captured_work.h), too, writes both; any other change leaves the copy behind.
void set_cast(const Tensor& w, const Tensor& copy);
bool has_cast(const Tensor& w, const Tensor& copy);  // whether it lies there, with w's values

}  // namespace graft
