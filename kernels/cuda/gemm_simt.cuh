// Matrix product in f32 throughout, on the ordinary units. Not yet run on a GPU.
//
// The block's tiles lie depth by depth in shared memory, whatever they are in global memory: A
// (step,M), B (step,N), both padded by 4. For each depth a thread reads a column of A and a row of
// B into registers, a few floats each, and adds their outer product to its sums: with tiles of
// 128 x 128, 8 + 8 floats, in 16-byte reads, for 64 multiply-adds. Within a warp 8 threads lie
// along m and 4 along n, each with groups of 4 x 4 outputs:
//
//        4 threads x 4 columns = 16      the next group of 16
//      ┌──────────────────────────┬──────────────────────────┐
//   8  │ lane 0   1   2   3       │ lane 0   1   2   3       │
//   x  │ lane 4   5   6   7       │ ...                      │   reads of A and B are the same for
//   4  │ ...                      │                          │   4 and 8 of the lanes: no two lanes
//  =32 │ lane 28 ...          31  │                          │   want different rows of one bank
//      └──────────────────────────┴──────────────────────────┘
#pragma once
#include "kernels/cuda/gemm_block.cuh"
#include "kernels/cuda/ptx.cuh"

namespace graft::cuda {

struct FloatOperand {  // outer (m or n) by depth (k)
  const float* data;  // (outer, depth) or, where depth is not contiguous, (depth, outer)
  int64_t stride;     // elements from row to row
  int outer, depth;   // sizes; depth is where the block's part of k ends
  bool depth_contiguous;
  bool vectors;  // rows can be copied 16 bytes at a time
};

template <int kOuter, int kStep>
struct DepthMajorTile {
  static constexpr int kStride = kOuter + 4;
  alignas(16) float elements[kStep * kStride];  // (kStep, kOuter), rows kStride apart

  __device__ const float4& four(int depth, int outer) const {
    return *reinterpret_cast<const float4*>(elements + depth * kStride + outer);
  }

  // Starts the copies of the tile at (outer, depth), shared among the block's threads.
  template <int kThreads>
  __device__ void load(const FloatOperand& from, int outer, int depth) {
    if (from.depth_contiguous)
      load_floats<kThreads, true>(from, outer, from.outer, depth, from.depth);
    else if (from.vectors)
      load_rows<kThreads>(from, outer, depth);
    else
      load_floats<kThreads, false>(from, depth, from.depth, outer, from.outer);
  }

  // Float by float: neighbouring threads read neighbours in a row of the matrix, which lie below
  // each other here when the matrix is contiguous along depth; the copy itself transposes.
  template <int kThreads, bool kDepthContiguous>
  __device__ void load_floats(const FloatOperand& from, int row0, int rows, int column0,
                              int columns) {
    constexpr int kColumns = kDepthContiguous ? kStep : kOuter;
    constexpr int kRows = kDepthContiguous ? kOuter : kStep;
    constexpr int kRowsAtOnce = kThreads / kColumns;
    const int column = int(threadIdx.x) % kColumns, first = int(threadIdx.x) / kColumns;
    const bool inside = column0 + column < columns;
    const float* source = from.data + (row0 + first) * from.stride + column0 + column;
    float* target =
        elements + (kDepthContiguous ? column * kStride + first : first * kStride + column);
#pragma unroll 1  // the registers are for the sums
    for (int row = first; row < kRows; row += kRowsAtOnce) {
      const bool valid = inside && row0 + row < rows;
      ptx::copy_async<4>(target, valid ? source : from.data, valid ? 4 : 0);
      source += kRowsAtOnce * from.stride;
      target += kRowsAtOnce * (kDepthContiguous ? 1 : kStride);
    }
  }

  // 16 bytes at a time: the matrix is contiguous along outer, as the tile is.
  template <int kThreads>
  __device__ void load_rows(const FloatOperand& from, int outer, int depth) {
#pragma unroll 1
    for (int i = int(threadIdx.x); i < kStep * kOuter / 4; i += kThreads) {
      const int d = i / (kOuter / 4), o = i % (kOuter / 4) * 4;
      const int floats = depth + d < from.depth ? max(0, min(from.outer - outer - o, 4)) : 0;
      const float* source = floats ? from.data + (depth + d) * from.stride + outer + o : from.data;
      ptx::copy_async<16>(elements + d * kStride + o, source, 4 * floats);
    }
  }
};

template <int kTile>
struct SimtBlock {
  static constexpr GemmTile kShape = kSimtTiles[kTile];
  static constexpr int M = kShape.m, N = kShape.n, kStages = kShape.stages;
  static constexpr int kThreads = kShape.threads();
  static constexpr int kStep = kShape.step_bytes / 4;
  static constexpr int kWarpM = M / kShape.warps_m, kWarpN = N / kShape.warps_n;
  static constexpr int kGroupsM = kWarpM / 32, kGroupsN = kWarpN / 16;  // of a thread, 4 x 4 each
  static_assert(kGroupsM >= 1 && kGroupsN >= 1, "a warp computes 32 x 16 at least");

  struct Stage {
    DepthMajorTile<M, kStep> a;  // (kStep, M)
    DepthMajorTile<N, kStep> b;  // (kStep, N)
  };
  union Shared {
    Stage stages[kStages];
    StagedTile<M, N> staged;  // (M, N), when the ring is no longer read
  };
  using Sums = float[4 * kGroupsM][4 * kGroupsN];  // of a thread

  int row, column;  // of this thread's first group in the tile

  __device__ SimtBlock() {
    const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
    row = warp % kShape.warps_m * kWarpM + lane / 4 * 4;
    column = warp / kShape.warps_m * kWarpN + lane % 4 * 4;
  }

  __device__ void multiply_step(Sums& sums, const Stage& stage) const {
#pragma unroll 2
    for (int depth = 0; depth < kStep; ++depth) {
      float a[4 * kGroupsM], b[4 * kGroupsN];  // of a column of A, of a row of B
#pragma unroll
      for (int i = 0; i < kGroupsM; ++i) spread(stage.a.four(depth, row + 32 * i), a + 4 * i);
#pragma unroll
      for (int j = 0; j < kGroupsN; ++j) spread(stage.b.four(depth, column + 16 * j), b + 4 * j);
#pragma unroll
      for (int i = 0; i < 4 * kGroupsM; ++i)
#pragma unroll
        for (int j = 0; j < 4 * kGroupsN; ++j) sums[i][j] += a[i] * b[j];
    }
  }

  __device__ void stage_sums(StagedTile<M, N>& staged, const Sums& sums) const {
#pragma unroll
    for (int i = 0; i < 4 * kGroupsM; ++i)
#pragma unroll
      for (int j = 0; j < kGroupsN; ++j) {
        const int at_row = row + i / 4 * 32 + i % 4, at_column = column + 16 * j;
        *reinterpret_cast<float4*>(staged.sums + at_row * StagedTile<M, N>::kStride + at_column) =
            make_float4(sums[i][4 * j], sums[i][4 * j + 1], sums[i][4 * j + 2], sums[i][4 * j + 3]);
      }
  }

  static __device__ void spread(const float4& four, float* to) {
    to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
  }
};

}  // namespace graft::cuda
