// Matrix products by NVIDIA's cuBLASLt: what to compare our own with, and what to fall back on.
// Not yet run on a GPU.
#pragma once
#include "kernels/gemm.h"

namespace graft::vendor {

// False for what cuBLASLt has no epilogue for: a bias beside a result of 16 bits, activations other
// than ReLU, and f32 products in f32 with 16-bit results.
bool offers(const cuda::GemmProblem& problem);

// As graft::cuda::gemm, by the fastest of the first eight algorithms that cuBLASLt proposes for so
// much workspace, measured the first time that a shape is met. Throws cuda::DeviceError, and
// std::invalid_argument where !offers(problem).
void gemm(const cuda::GemmProblem& problem, cuda::Stream stream);

}  // namespace graft::vendor
