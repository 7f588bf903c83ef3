// Stands before kernels/cuda/ptx.cuh in the include path: the same functions, on the CPU.
#pragma once
#include "tests/cusim/async_copy.h"
#include "tests/cusim/device.h"
#include "tests/cusim/tensor_core.h"

namespace graft::cuda::ptx {

using cusim::copy_async;
using cusim::copy_async_commit;
using cusim::copy_async_wait;
using cusim::ldmatrix;
using cusim::ldmatrix_transposed;
using cusim::mma_m16n8k16;
using cusim::mma_m16n8k8_tf32;
using cusim::round_to_tf32;

}  // namespace graft::cuda::ptx
