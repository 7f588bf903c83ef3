// Convolutions by NVIDIA's cuDNN, as graphs of operations that it may fuse: what to compare our own
// with, and what to fall back on. Not yet run on a GPU.
#pragma once
#include "kernels/conv2d.h"

namespace graft::vendor {

// False where cuDNN's graphs have no form for the last step: activations other than ReLU.
bool offers(const cuda::ConvLastStep& last);

// As the functions of the same names in graft::cuda, by the fastest of the first eight plans that
// cuDNN proposes and that need no more than 256 MB, measured the first time that a problem is met.
// The result must be memory of its own, not the residual's. Throw cuda::DeviceError, and
// std::invalid_argument where !offers(last).
void conv2d_fprop(cuda::GemmMath math, const Conv2dProblem& p, const void* x, const void* w,
                  const cuda::ConvLastStep& last, void* y, DType y_type, cuda::Stream stream);
void conv2d_dgrad(cuda::GemmMath math, const Conv2dProblem& p, const void* dy, const void* w,
                  void* dx, DType dx_type, cuda::Stream stream);
void conv2d_wgrad(cuda::GemmMath math, const Conv2dProblem& p, const void* x, const void* dy,
                  float* dw, cuda::Stream stream);

}  // namespace graft::vendor
