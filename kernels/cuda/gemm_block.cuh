// What the blocks of all matrix products share: which tile is theirs, and how its sums become c.
//
// The sums are spread over the threads in a pattern that the tensor core dictates. They take a
// detour through shared memory, so that bias, residual and activation are applied, and rows
// written, four elements at a time by neighbouring threads; the code for it exists once, in a loop,
// not once for each register.
//
//   registers ──► staged (M,N) f32 ──► alpha sum + beta residual + bias, activation ──► c (m,n)
//                                  └─► partial (splits,m,n), where k is split
//
// A thread has the same four columns in every row that it stores, so that it can note their moments
// for a batch norm (tile_moments.cuh), of the values as they are stored.
//
// Not yet run on a GPU.
#pragma once
#include "kernels/cuda/gemm_launch.h"
#include "kernels/cuda/tile_moments.cuh"
#include "kernels/elementwise.h"

namespace graft::cuda {

template <int M, int N>
struct StagedTile {
  static constexpr int kStride = N + 8;  // eight rows of a fragment then lie in different banks
  alignas(16) float sums[M * kStride];  // (M, N), rows kStride apart
};

struct TileOrigin {  // row and column of c where a tile begins
  int m, n;
};

// Blocks that run at the same time share rows of A and columns of B in the L2 cache: tiles are
// numbered down columns of eight.
template <int M, int N>
__device__ TileOrigin tile_origin(int64_t m, int64_t n, int index) {
  constexpr int kHigh = 8;
  const int tiles_m = int((m + M - 1) / M), tiles_n = int((n + N - 1) / N);
  const int group = index / (kHigh * tiles_n), within = index % (kHigh * tiles_n);
  const int high = min(kHigh, tiles_m - group * kHigh);
  return {(group * kHigh + within % high) * M, within / high * N};
}

__device__ inline float load_as_float(const void* p, DType type, int64_t i) {
  if (type == DType::bf16) return __bfloat162float(static_cast<const __nv_bfloat16*>(p)[i]);
  if (type == DType::f16) return __half2float(static_cast<const __half*>(p)[i]);
  return static_cast<const float*>(p)[i];
}

__device__ inline void store_as(void* p, DType type, int64_t i, float value) {
  if (type == DType::bf16)
    static_cast<__nv_bfloat16*>(p)[i] = __float2bfloat16(value);
  else if (type == DType::f16)
    static_cast<__half*>(p)[i] = __float2half(value);
  else
    static_cast<float*>(p)[i] = value;
}

// What store_as leaves of v.
__device__ inline float rounded(float v, DType type) {
  if (type == DType::bf16) return __bfloat162float(__float2bfloat16(v));
  if (type == DType::f16) return __half2float(__float2half(v));
  return v;
}

template <int kWidth>
__device__ void round_as_stored(float (&v)[kWidth], DType type) {
#pragma unroll
  for (int j = 0; j < kWidth; ++j) v[j] = rounded(v[j], type);
}

// Four neighbouring elements at a time, from an address that allows it.
__device__ inline void load_four(float (&v)[4], const void* p, DType type, int64_t i) {
  if (type == DType::f32) {
    const float4 four = *reinterpret_cast<const float4*>(static_cast<const float*>(p) + i);
    v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
    return;
  }
  const uint2 words = *reinterpret_cast<const uint2*>(static_cast<const uint16_t*>(p) + i);
  const uint16_t halves[4] = {uint16_t(words.x), uint16_t(words.x >> 16), uint16_t(words.y),
                              uint16_t(words.y >> 16)};
  for (int j = 0; j < 4; ++j) v[j] = load_as_float(halves, type, j);
}

__device__ inline void store_four(void* p, DType type, int64_t i, const float (&v)[4]) {
  if (type == DType::f32) {
    *reinterpret_cast<float4*>(static_cast<float*>(p) + i) = make_float4(v[0], v[1], v[2], v[3]);
    return;
  }
  uint16_t halves[4];
  for (int j = 0; j < 4; ++j) store_as(halves, type, j, v[j]);
  *reinterpret_cast<uint2*>(static_cast<uint16_t*>(p) + i) =
      make_uint2(halves[0] | uint32_t(halves[1]) << 16, halves[2] | uint32_t(halves[3]) << 16);
}

// Up to four neighbouring elements: all at once where the address allows it.
__device__ inline void load_some(float (&v)[4], const void* p, DType type, int64_t i, bool vectors,
                                 int count) {
  if (vectors) return load_four(v, p, type, i);
#pragma unroll
  for (int j = 0; j < 4; ++j) v[j] = j < count ? load_as_float(p, type, i + j) : 0.0f;
}

__device__ inline void store_some(void* p, DType type, int64_t i, bool vectors, int count,
                                  const float (&v)[4]) {
  if (vectors) return store_four(p, type, i, v);
#pragma unroll
  for (int j = 0; j < 4; ++j)
    if (j < count) store_as(p, type, i + j, v[j]);
}

// What a thread notes of its four columns; the threads of a team are kGroups rows of kColumns.
template <int kColumns, int kGroups, class Team = WholeBlock>
struct GemmNotes {
  using Parts = MomentParts<kColumns, kGroups>;  // of a team, in shared memory
  ThreadMoments<4> moments;

  static __device__ bool wanted(const GemmProblem& p, const GemmWork& work) {
    return p.moments && !work.partial;
  }
  // v is what was stored, but for the rounding.
  __device__ void add(const GemmProblem& p, float (&v)[4]) {
    round_as_stored(v, p.c_type);
    moments.add(v);
  }
  // Of the tile with this number down the rows, its columns from `column` on.
  __device__ void store(Parts& parts, const GemmProblem& p, int tile, int column) const {
    store_tile_moments<Team>(parts, moments, int(p.n) - column, p.moments + tile * p.n + column);
  }
};

// Sums of row `row`, columns from `column` on, of which there are `count` (at most 4) -> c (m, n).
// v is then what was stored, but for its rounding.
__device__ inline void finish_four(const GemmProblem& p, bool vectors, int64_t row, int64_t column,
                                   int count, float (&v)[4]) {
  float r[4] = {}, bias[4] = {};
  if (p.residual)
    load_some(r, p.residual, p.c_type, row * p.residual_stride + column, vectors, count);
  if (p.bias) load_some(bias, p.bias, DType::f32, column, vectors, count);
  with_activation(p.activation, [&](auto op) {
#pragma unroll
    for (int j = 0; j < 4; ++j) v[j] = op.f(p.alpha * v[j] + p.beta * r[j] + bias[j]);
  });
  store_some(p.c, p.c_type, row * p.c_stride + column, vectors, count, v);
}

// Four staged sums, of row m and from column n on -> c, which is noted where that is wanted; or the
// partial sums of this split.
template <class Notes>
__device__ void finish_staged(const GemmProblem& p, const GemmWork& work, int64_t split, int64_t m,
                              int64_t n, const float* staged, Notes& notes) {
  if (m >= p.m || n >= p.n) return;
  const int count = int(min(p.n - n, int64_t(4)));
  const float4 sums = *reinterpret_cast<const float4*>(staged);
  float v[4] = {sums.x, sums.y, sums.z, sums.w};
  const int64_t at = (split * p.m + m) * p.n + n;  // of the partial sums
  if (work.partial) return store_some(work.partial, DType::f32, at, work.vectors_c, count, v);
  finish_four(p, work.vectors_c, m, n, count, v);
  if (notes.wanted(p, work)) notes.add(p, v);
}

// The staged sums of the tile at `at`, which is this block's; the notes take their place.
template <int M, int N, int kThreads>
__device__ void finish_tile(const GemmProblem& p, const GemmWork& work, StagedTile<M, N>& tile,
                            TileOrigin at) {
  constexpr int kFours = N / 4;
  static_assert(kThreads % kFours == 0, "a thread stays with its columns");
  using Notes = GemmNotes<N, kThreads / kFours>;
  static_assert(sizeof(typename Notes::Parts) <= sizeof(tile));
  Notes notes;
#pragma unroll 1
  for (int i = int(threadIdx.x); i < M * kFours; i += kThreads) {
    const int row = i / kFours, column = i % kFours * 4;
    finish_staged(p, work, blockIdx.z, at.m + row, at.n + column,
                  tile.sums + row * StagedTile<M, N>::kStride + column, notes);
  }
  if (notes.wanted(p, work))
    notes.store(reinterpret_cast<typename Notes::Parts&>(tile), p, at.m / M, at.n);
}

}  // namespace graft::cuda
