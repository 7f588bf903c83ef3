// cp.async.bulk.tensor with the signature of kernels/cuda/ptx.cuh: a box of a matrix that
// tensor_map.h describes comes to shared memory when somebody waits at its mbarrier, as late as
// CUDA allows, and its place reads as NaN until then.
#pragma once
#include <cstdint>

#include "kernels/cuda/tensor_map.h"

namespace cusim {

void copy_box_async(void* shared, const graft::cuda::TensorMap& map, int row, int column,
                    uint64_t* barrier);

void land_copies(const uint64_t* barrier);  // the bytes of all copies that it counts come now
void forget_box_copies();                   // when a block begins
void check_no_box_copy_under_way();         // when it ends

}  // namespace cusim
