// Calls of the CUDA runtime go through check(): a failure becomes an exception at once. Only those
// that release something, or have another answer to a failure, do not. Not yet run on a GPU.
#pragma once
#include <cuda_runtime_api.h>

#include "kernels/runtime.h"

namespace graft::cuda {

[[noreturn]] void raise(cudaError_t error, const char* what);

inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) raise(error, what);
}

}  // namespace graft::cuda
