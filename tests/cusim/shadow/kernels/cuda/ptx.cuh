// Stands before kernels/cuda/ptx.cuh in the include path: the same functions, on the CPU.
#pragma once
#include "tests/cusim/async_copy.h"
#include "tests/cusim/box_copy.h"
#include "tests/cusim/cluster.h"
#include "tests/cusim/device.h"
#include "tests/cusim/mbarrier.h"
#include "tests/cusim/named_barrier.h"
#include "tests/cusim/tensor_core.h"
#include "tests/cusim/wgmma.h"

namespace graft::cuda::ptx {

using cusim::copy_async;
using cusim::copy_async_commit;
using cusim::copy_async_wait;
using cusim::ldmatrix;
using cusim::ldmatrix_transposed;
using cusim::mma_m16n8k16;
using cusim::mma_m16n8k8_tf32;
using cusim::round_to_tf32;

constexpr bool kHopper = true;
using cusim::barrier_arrive;
using cusim::barrier_arrive_expect;
using cusim::barrier_arrive_in;
using cusim::barrier_init;
using cusim::barrier_init_fence;
using cusim::barrier_sync;
using cusim::barrier_wait;
using cusim::cluster_arrive;
using cusim::cluster_rank;
using cusim::cluster_wait;
using cusim::copy_box_async;
using cusim::copy_box_to_blocks;
using cusim::copy_pixels_async;
using cusim::copy_pixels_to_blocks;
using cusim::grow_registers;
using cusim::matrix_descriptor;
using cusim::shrink_registers;
using cusim::wgmma_commit;
using cusim::wgmma_fence;
using cusim::wgmma_k16;
using cusim::wgmma_wait;

}  // namespace graft::cuda::ptx
