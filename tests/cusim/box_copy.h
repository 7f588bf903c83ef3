// cp.async.bulk.tensor with the signatures of kernels/cuda/ptx.cuh: a box of a matrix, or of what a
// convolution gathers, that tensor_map.h describes comes to shared memory when somebody waits at its
// mbarrier, as late as CUDA allows, and its place reads as NaN until then. In several blocks at once,
// it comes to each when somebody waits there.
#pragma once
#include <cstdint>

#include "kernels/cuda/tensor_map.h"

namespace cusim {

void copy_box_async(void* shared, const graft::cuda::TensorMap& map, int row, int column,
                    uint64_t* barrier);
void copy_box_to_blocks(void* shared, const graft::cuda::TensorMap& map, int row, int column,
                        uint64_t* barrier, uint32_t blocks);
void copy_pixels_async(void* shared, const graft::cuda::TensorMap& map,
                       const graft::cuda::PixelBox& from, uint64_t* barrier);
void copy_pixels_to_blocks(void* shared, const graft::cuda::TensorMap& map,
                           const graft::cuda::PixelBox& from, uint64_t* barrier, uint32_t blocks);

void land_copies(const uint64_t* barrier);  // the bytes of all copies that it counts come now
void forget_box_copies();                   // when a cluster begins
void check_no_box_copy_under_way();         // when it ends

}  // namespace cusim
