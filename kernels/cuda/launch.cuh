// The one way a kernel starts, and the one way it gets shared memory. Kernels include this file and
// ptx.cuh and are then plain C++ but for CUDA's own names; tests/cusim has the same two files for
// the CPU. Not yet run on a GPU.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <utility>

#include "kernels/cuda/check.h"
#include "kernels/runtime.h"

// Declares `T& name`, which is the block's shared memory: as many bytes as its launch asked for,
// 1024-byte aligned. Kernels have no other, so that a block's use is one struct, seen whole.
#define GRAFT_SHARED(T, name)                                            \
  extern __shared__ __align__(1024) unsigned char graft_shared_memory[]; \
  T& name = *reinterpret_cast<T*>(graft_shared_memory)

namespace graft::cuda {

constexpr size_t kSharedWithoutAsking = 48 << 10;  // bytes

struct Launch {
  dim3 grid, block;
  size_t shared = 0;  // bytes
  Stream stream{};
  unsigned cluster = 1;  // blocks, neighbours along x, that reach each other's shared memory
};

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const Launch& how, Arguments&&... arguments) {
  if (how.shared > kSharedWithoutAsking)
    check(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(how.shared)),
        "launch: shared memory");
  cudaLaunchConfig_t config{};
  config.gridDim = how.grid;
  config.blockDim = how.block;
  config.dynamicSmemBytes = how.shared;
  config.stream = static_cast<cudaStream_t>(how.stream.handle);
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {how.cluster, 1, 1};
  config.attrs = &cluster;
  config.numAttrs = how.cluster > 1 ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, Parameters(std::forward<Arguments>(arguments))...),
        "launch");
}

}  // namespace graft::cuda
