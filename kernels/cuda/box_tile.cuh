// A tile of one operand of a matrix product as Hopper's copy engine brings it and wgmma reads it:
// the counterpart of operand_tile.cuh, `outer` (m or n) by 64 of `depth` (k), with zeros where the
// matrix has ended. The engine copies boxes with rows of 128 bytes, swizzled (tensor_map.h):
//
//   depth-contiguous   one box: a row is one outer index, 64 depth indices long
//   outer-contiguous   a box for every 64 outer indices: a row is one depth index, 64 outer long
//
// Of what a convolution gathers from images a row is an output pixel and a tap's channels: pixels
// are outer in a depth-contiguous tile, depth in the other.
//
// A tile that all kCluster blocks of a cluster want is copied in parts, one by each block, to all.
// Not yet run on a GPU.
#pragma once
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/ptx.cuh"

namespace graft::cuda {

template <class T, int kOuter, bool kDepthContiguous, int kCluster = 1>
struct BoxTile {
  static constexpr int kRowBytes = 128, kEightRows = 8 * kRowBytes;
  static constexpr int kRow = kRowBytes / int(sizeof(T)), kDepth = kRow;
  static constexpr int kPart = kOuter / kCluster;  // that a block copies
  static_assert(sizeof(T) == 2 && kPart % kRow == 0 && kPart <= 256);

  alignas(1024) T elements[kOuter * kDepth];  // (kOuter, 64) or (kOuter / 64, 64 of depth, 64)

  // The matrix at `data`, (outer, depth) or (depth, outer), which such tiles are taken from.
  static TensorMap map(DType type, const void* data, int64_t outer, int64_t depth, int64_t stride) {
    return encode(TensorBoxes{.type = type,
                              .data = data,
                              .rows = kDepthContiguous ? outer : depth,
                              .columns = kDepthContiguous ? depth : outer,
                              .stride = stride,
                              .box_rows = kDepthContiguous ? kPart : kDepth});
  }

  static constexpr int kBoxPixels = kDepthContiguous ? kPart : kDepth;
  static constexpr int kBoxes = kDepthContiguous ? 1 : kPart / kRow;  // of a block's part

  // The first outer index of this block's part of a tile.
  static __device__ int first_copied() {
    return kCluster > 1 ? int(ptx::cluster_rank()) * kPart : 0;
  }

  // Starts the copies of this block's part of a tile of gathered pixels, to be called by one thread
  // of each block: box_at(i) is its box number i, each 64 outer indices behind the one before.
  template <class BoxAt>
  __device__ void gather(const TensorMap& map, const BoxAt& box_at, uint64_t* barrier) {
    T* to = elements + first_copied() * kRow;  // of both: kDepth is kRow
#pragma unroll
    for (int box = 0; box < kBoxes; ++box) {
      T* place = to + box * kRow * kRow;
      if constexpr (kCluster > 1)
        ptx::copy_pixels_to_blocks(place, map, box_at(box), barrier, (1u << kCluster) - 1);
      else
        ptx::copy_pixels_async(place, map, box_at(box), barrier);
    }
  }

  // Starts the copies of this block's part of the tile at (outer, depth), to be called by one
  // thread of each block.
  __device__ void load(const TensorMap& map, int outer, int depth, uint64_t* barrier) {
    const int first = first_copied();
    if constexpr (kDepthContiguous) {
      copy(elements + first * kRow, map, outer + first, depth, barrier);
    } else {
#pragma unroll
      for (int box = 0; box < kBoxes; ++box) {
        const int o = first + box * kRow;
        copy(elements + o * kDepth, map, depth, outer + o, barrier);
      }
    }
  }

  // From `outer` on, a multiple of 64, by the 16 depth indices number `block`.
  __device__ uint64_t descriptor(int outer, int block) const {
    if constexpr (kDepthContiguous)
      return ptx::matrix_descriptor(elements + outer * kRow + block * 16, kEightRows, 16);
    else
      return ptx::matrix_descriptor(elements + outer * kDepth + block * 16 * kRow, kEightRows,
                                    kDepth * kRowBytes);
  }

 private:
  static __device__ void copy(void* to, const TensorMap& map, int row, int column,
                              uint64_t* barrier) {
    if constexpr (kCluster > 1)
      ptx::copy_box_to_blocks(to, map, row, column, barrier, (1u << kCluster) - 1);
    else
      ptx::copy_box_async(to, map, row, column, barrier);
  }
};

}  // namespace graft::cuda
