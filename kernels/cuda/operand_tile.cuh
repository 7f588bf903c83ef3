// A tile of one operand of a matrix product in shared memory, and its way there from global memory.
//
// A (m,k) and B transposed (n,k) are the same thing here: `outer` (m or n) by `depth` (k). What
// differs is which of the two lies contiguously in memory, and the tile keeps that:
//
//   depth-contiguous   a row of the tile is one outer index, `kDepth` long
//   outer-contiguous   a row of the tile is one depth index, `kOuter` long
//
// Rows are cut into chunks of 16 bytes, and a chunk is stored at its own place XOR a function of
// the row: then the eight chunks that a tensor core's load reads at a time, a column of eight rows,
// lie in different banks, without padding. Global memory is read in whole chunks, by asynchronous
// copies that put zeros where the matrix has ended; zeros add nothing to a sum.
// Not yet run on a GPU.
#pragma once
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/ptx.cuh"

namespace graft::cuda {

struct Operand {  // a matrix in global memory
  const void* data;  // (outer, depth) or (depth, outer): the tile's template says which
  int64_t stride;    // elements from row to row
  int outer, depth;  // sizes; depth is where the block's part of k ends
};

template <class T, int kOuter, int kDepth, bool kDepthContiguous>
struct OperandTile {
  static constexpr int kPerChunk = 16 / int(sizeof(T));
  static constexpr int kRows = kDepthContiguous ? kOuter : kDepth;
  static constexpr int kChunks = (kDepthContiguous ? kDepth : kOuter) / kPerChunk;  // in a row
  static_assert(kChunks == 4 || kChunks % 8 == 0, "rows of 64 bytes, or of multiples of 128");

  alignas(16) T elements[kRows * kChunks * kPerChunk];  // (kRows, kChunks, kPerChunk), swizzled

  // Where a chunk begins. f32 has no transposing load: lanes then read four rows, two chunks each.
  static __device__ int place(int row, int chunk) {
    if constexpr (kChunks == 4)
      chunk ^= row / 2 % 4;  // two rows share all the banks
    else if constexpr (sizeof(T) == 4 && !kDepthContiguous)
      chunk ^= row % 4 * 2;
    else
      chunk ^= row % 8;
    return (row * kChunks + chunk) * kPerChunk;
  }

  // Starts the copies of the tile at (outer, depth), shared among the block's threads.
  template <int kThreads>
  __device__ void load(const Operand& from, int outer, int depth) {
    static_assert(kRows * kChunks % kThreads == 0 && kThreads % kChunks == 0);
    constexpr int kRowsAtOnce = kThreads / kChunks;
    const int chunk = int(threadIdx.x) % kChunks, first = int(threadIdx.x) / kChunks;
    const int row0 = kDepthContiguous ? outer : depth,
              rows = kDepthContiguous ? from.outer : from.depth;
    const int column = (kDepthContiguous ? depth : outer) + chunk * kPerChunk;
    const int columns = kDepthContiguous ? from.depth : from.outer;
    const int inside = max(0, min(columns - column, kPerChunk)) * int(sizeof(T));  // bytes
    const T* source = static_cast<const T*>(from.data) + (row0 + first) * from.stride + column;
#pragma unroll
    for (int i = 0; i < kRows / kRowsAtOnce; ++i) {
      const int row = first + i * kRowsAtOnce;
      const int valid = row0 + row < rows ? inside : 0;
      ptx::copy_async<16>(elements + place(row, chunk), valid ? source : from.data, valid);
      source += kRowsAtOnce * from.stride;
    }
  }

  // The same where chunks of the matrix are not 16-byte aligned: element by element, from either
  // way of storing it; for f32 still asynchronously. Slow, and only for such operands.
  template <int kThreads>
  __device__ void load_narrow(const Operand& from, bool outer_contiguous, int outer, int depth) {
    static_assert(kDepthContiguous);
    const auto* data = static_cast<const T*>(from.data);
    for (int i = int(threadIdx.x); i < kOuter * kDepth; i += kThreads) {
      const int o = outer_contiguous ? i % kOuter : i / kDepth;  // neighbours in memory together
      const int d = outer_contiguous ? i / kOuter : i % kDepth;
      const bool valid = outer + o < from.outer && depth + d < from.depth;
      const int64_t row = outer_contiguous ? depth + d : outer + o;
      const int64_t column = outer_contiguous ? outer + o : depth + d;
      const T* source = valid ? data + row * from.stride + column : data;
      T* target = elements + place(o, d / kPerChunk) + d % kPerChunk;
      if constexpr (sizeof(T) == 4)
        ptx::copy_async<4>(target, source, valid ? 4 : 0);
      else
        *target = valid ? *source : T(0.0f);
    }
  }

  // 16 outer indices from `outer` on by 32 bytes of depth (block number `block`), as the tensor
  // core wants them: r[0] the upper left 8 x 16 bytes, r[1] the lower left, r[2] the upper right,
  // r[3] the lower right. A takes all four; of B, r[0] and r[2] belong to the first eight columns.
  __device__ void fragment(uint32_t (&r)[4], int outer, int block) const {
    const int lane = int(threadIdx.x) % 32;
    if constexpr (kDepthContiguous) {
      ptx::ldmatrix(r, elements + place(outer + lane % 16, 2 * block + lane / 16));
    } else if constexpr (sizeof(T) == 2) {
      const int depth = 16 * block + lane % 8 + lane / 16 * 8;
      ptx::ldmatrix_transposed(r, elements + place(depth, outer / kPerChunk + lane / 8 % 2));
    } else {
      const int g = lane / 4, t = lane % 4;
      for (int i = 0; i < 4; ++i) {
        const int o = outer + g + i % 2 * 8, depth = 8 * block + t + i / 2 * 4;
        r[i] = __float_as_uint(elements[place(depth, o / 4) + o % 4]);
      }
    }
  }
};

}  // namespace graft::cuda
