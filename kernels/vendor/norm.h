// Batch normalisation in training with ReLU by NVIDIA's cuDNN, as graphs that it fuses: what to
// compare our own with. Not yet run on a GPU.
#pragma once
#include <cstdint>

#include "kernels/dtype.h"
#include "kernels/runtime.h"

namespace graft::vendor {

struct NormMaps {
  int64_t n, h, w, c;
  DType type;  // bf16 or f16: of x, y, residual and of their gradients; all else is f32
};

// y = relu((x - mean) rstd gamma + beta + residual), maps (n,h,w,c), with the batch's own mean and
// rstd (c), which are written; residual may be null. By the plan that cuDNN proposes first. Throws
// cuda::DeviceError where it has none.
void batch_norm_relu(const NormMaps& maps, const void* x, const float* gamma, const float* beta,
                     const void* residual, float eps, float* mean, float* rstd, void* y,
                     cuda::Stream stream);

struct NormRelu {
  const void* x;
  const float *gamma, *mean, *rstd;
  const void* passed;  // a bit for each element of y: whether it is above zero
};
struct NormReluGradients {
  void* dx;
  float *dgamma, *dbeta;
  void* dresidual;  // null: there was none
};
void batch_norm_relu_backward(const NormMaps& maps, const NormRelu& forward, const void* dy,
                              const NormReluGradients& out, cuda::Stream stream);

}  // namespace graft::vendor
