// Copies that keep what kernels/runtime.h promises. With pageable memory cudaMemcpyAsync "might be
// synchronous with respect to the host" (CUDA's API synchronization behavior): that the target has been
// written, or the source read, when it returns is promised by cudaMemcpy alone, so we wait for it.
// Not yet run on a GPU.
#include "kernels/cuda/copy.h"

namespace graft::cuda {

void copy(void* to, const void* from, size_t bytes, Stream stream) {
  if (bytes == 0) return;
  start_copy(to, from, bytes, stream);
  if (is_pageable(to) || is_pageable(from)) synchronize(stream);
}

}  // namespace graft::cuda
