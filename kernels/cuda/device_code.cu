// A kernel that does nothing, to ask about: where the device cannot run it, it can run none.
// Not yet run on a GPU.
#include "kernels/cuda/device_code.h"

#include <cuda_runtime.h>

namespace graft::cuda {
namespace {

__global__ void do_nothing() {}

}  // namespace

const void* any_kernel() { return reinterpret_cast<const void*>(&do_nothing); }

}  // namespace graft::cuda
