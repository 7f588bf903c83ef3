// Threads of a block that do something together: who of them one is, and where they meet. What is
// written for a team runs on a whole block, or on the warps of one that have nothing else to do.
// Not yet run on a GPU.
#pragma once
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/ptx.cuh"

namespace graft::cuda {

struct WholeBlock {
  static __device__ int thread() { return int(threadIdx.x); }
  static __device__ void meet() { __syncthreads(); }
};

// kThreads of it, whole warps, from thread kFirst on, as long as the others never meet by this id.
template <int kFirst, int kThreads>
struct PartOfBlock {
  static constexpr int kId = 1;
  static __device__ int thread() { return int(threadIdx.x) - kFirst; }
  static __device__ void meet() { ptx::barrier_sync(kId, kThreads); }
};

}  // namespace graft::cuda
