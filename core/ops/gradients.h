// Gradients that several operations share. Without history.
#pragma once
#include "core/tensor.h"
#include "kernels/activation.h"

namespace graft {

// dy f'(x). x may be undefined where gradient_from_output(a), y elsewhere.
Tensor activation_gradient(Activation a, const Tensor& dy, const Tensor& x, const Tensor& y);

Tensor sum_of_rows(const Tensor& x);  // (..., C) -> (C), f32

}  // namespace graft
