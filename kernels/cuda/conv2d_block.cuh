// One block's share of a convolution: which group, phase and tile are its own, where the elements
// of its two matrices are, and how its sums become the result, and what is noted of it.
//
//   blockIdx.x   tile (M,N), numbered down columns of eight   conv_tile
//   blockIdx.y   group, and phase in dgrad                    ConvPart
//   blockIdx.z   part of a split depth                        partial (splits, parts, most_m, n)
//
// In the last step the sums (M,N) are in shared memory, as in gemm_block.cuh; but a thread stays
// with its four columns, so that it can add up what is noted of them. Not yet run on a GPU.
#pragma once
#include "kernels/cuda/conv2d_notes.cuh"
#include "kernels/cuda/conv2d_operands.cuh"

namespace graft::cuda {

GRAFT_HD inline const void* advance(const void* p, int64_t elements, int size) {
  return static_cast<const char*>(p) + elements * size;
}

template <ConvPass kPass>
struct ConvPart {  // of one group and phase, as a matrix product
  Image x;         // that is gathered from: the input, or dy in dgrad
  Filter f;        // fprop, dgrad
  const void* dy;  // wgrad: (pixels, dy_stride), from the group's first filter on
  int dy_stride;
  PixelGrid grid;  // of m, or of depth in wgrad
  int m, n, depth;
  int64_t out;     // offset of the group's first result, elements
  int phase_h, phase_w;

  GRAFT_HD ConvPart(const ConvWork& c, int part) {
    const Conv2dProblem& p = c.problem;
    const int phases = kPass == ConvPass::dgrad ? p.stride_h * p.stride_w : 1;
    const int group = part / phases, phase = part % phases;
    const int channels = int(p.c / p.groups), filters = int(p.k / p.groups);
    phase_h = phase / p.stride_w, phase_w = phase % p.stride_w;
    f = {advance(c.b, int64_t(group) * filters * p.r * p.s * channels, c.size), filters, int(p.r),
         int(p.s), channels};
    if constexpr (kPass == ConvPass::dgrad) {
      x = {advance(c.a, group * filters, c.size), filters, int(p.k),
           backward_side(int(p.out_h()), p.stride_h, p.pad_top, p.dilation_h, int(p.r), phase_h),
           backward_side(int(p.out_w()), p.stride_w, p.pad_left, p.dilation_w, int(p.s), phase_w)};
      grid = phases == 1 ? c.grid
                         : PixelGrid(p.n, phase_size(int(p.h), p.stride_h, phase_h),
                                     phase_size(int(p.w), p.stride_w, phase_w));
    } else {
      const void* input = kPass == ConvPass::fprop ? c.a : c.b;
      x = {advance(input, group * channels, c.size), channels, int(p.c),
           forward_side(int(p.h), p.stride_h, p.pad_top, p.dilation_h, int(p.r)),
           forward_side(int(p.w), p.stride_w, p.pad_left, p.dilation_w, int(p.s))};
      grid = c.grid;
    }
    dy = advance(c.a, group * filters, c.size), dy_stride = int(p.k);
    const int taps = x.h.taps * x.w.taps;
    m = kPass == ConvPass::wgrad ? filters : grid.size();
    n = kPass == ConvPass::fprop ? filters : kPass == ConvPass::dgrad ? channels : taps * channels;
    depth = kPass == ConvPass::wgrad ? grid.size() : taps * x.channels;
    out = kPass == ConvPass::fprop   ? group * filters
          : kPass == ConvPass::dgrad ? group * channels
                                     : int64_t(group) * filters * n;
  }

  // Element offsets of the two matrices; -1 where they are zero.
  __device__ int64_t a(int outer, int at, const Divider& by_channels) const {
    if (outer >= m || at >= depth) return -1;
    if constexpr (kPass == ConvPass::wgrad) return int64_t(at) * dy_stride + outer;
    return gathered(x, grid.at(outer), tap_of(at, x.w, by_channels));
  }
  __device__ int64_t b(int outer, int at, const Divider& by_channels) const {
    if (outer >= n || at >= depth) return -1;
    if constexpr (kPass == ConvPass::fprop) return int64_t(outer) * depth + at;
    if constexpr (kPass == ConvPass::dgrad)
      return filtered(f, x, tap_of(at, x.w, by_channels), outer);
    return gathered(x, grid.at(at), tap_of(outer, x.w, by_channels));
  }
  __device__ const void* a_data() const { return kPass == ConvPass::wgrad ? dy : x.data; }
  __device__ const void* b_data() const { return kPass == ConvPass::wgrad ? x.data : f.data; }

  // Where row `row` of the result begins, in elements.
  __device__ int64_t result(const ConvWork& c, int row) const {
    if constexpr (kPass == ConvPass::fprop) return out + row * c.problem.k;
    if constexpr (kPass == ConvPass::wgrad) return out + int64_t(row) * n;
    const Conv2dProblem& p = c.problem;
    const Pixel at = grid.at(row);
    const int64_t h = phase_h + at.row * p.stride_h, w = phase_w + at.column * p.stride_w;
    return out + ((at.image * p.h + h) * p.w + w) * p.c;
  }
};

// Sums of row `row`, columns from `column` on -> the result: scale, bias, residual, activation.
// v is then what was stored, but for its rounding. -> which element of the result the first one is.
template <ConvPass kPass>
__device__ int64_t finish_result(const ConvWork& c, const ConvPart<kPass>& part, int row,
                                 int column, int count, float (&v)[4]) {
  const int64_t at = part.result(c, row) + column;
  float scale[4] = {1, 1, 1, 1}, bias[4] = {}, r[4] = {};
  const int64_t channel = part.out + column;  // fprop only has the three
  if (c.scale) load_some(scale, c.scale, DType::f32, channel, c.vectors_out, count);
  if (c.bias) load_some(bias, c.bias, DType::f32, channel, c.vectors_out, count);
  if (c.residual) load_some(r, c.residual, c.out_type, at, c.vectors_out, count);
  with_activation(c.activation, [&](auto op) {
#pragma unroll
    for (int j = 0; j < 4; ++j) v[j] = op.f(scale[j] * v[j] + bias[j] + r[j]);
  });
  store_some(c.out, c.out_type, at, c.vectors_out, count, v);
  return at;
}

// The tile of kRows x columns at `at` of the part, as the notes count it.
template <int kRows, ConvPass kPass>
__device__ NotedTile noted_tile(const ConvWork& c, const ConvPart<kPass>& part, TileOrigin at) {
  const int of_phase = (c.most_m + kRows - 1) / kRows;
  const int phase = part.phase_h * c.problem.stride_w + part.phase_w;
  return {phase * of_phase + at.m / kRows, int(part.out) + at.n, part.n - at.n};
}

__device__ inline int64_t partial_offset(const ConvWork& c, int split, int part, int row) {
  return ((int64_t(split) * c.parts + part) * c.most_m + row) * c.n;
}

// Four staged sums of row `row`, columns from `column` on, -> the result, which is noted where
// that is wanted; or the partial sums of this split, of part number `number`.
template <ConvPass kPass, class Notes>
__device__ void finish_conv_four(const ConvWork& c, const ConvPart<kPass>& part, int split,
                                 int number, int row, int column, const float* staged,
                                 Notes& notes) {
  const int count = min(part.n - column, 4);
  if (row >= part.m || count <= 0) return;
  const float4 sums = *reinterpret_cast<const float4*>(staged);
  float v[4] = {sums.x, sums.y, sums.z, sums.w};
  if (c.partial)
    return store_some(c.partial, DType::f32, partial_offset(c, split, number, row) + column,
                      c.n % 4 == 0, count, v);
  const int64_t to = finish_result(c, part, row, column, count, v);
  if (Notes::wanted(c)) notes.add(c, to, count, v);
}

template <ConvPass kPass, int M, int N, int kThreads>
__device__ void finish_conv_tile(const ConvWork& c, const ConvPart<kPass>& part,
                                 StagedTile<M, N>& tile, TileOrigin at) {
  constexpr int kFours = N / 4, kGroups = kThreads / kFours;
  static_assert(kThreads % kFours == 0, "a thread stays with its columns");
  using Notes = ConvNotes<kPass, 4, N, kGroups>;
  static_assert(sizeof(typename Notes::Parts) <= sizeof(tile));
  const bool noted = Notes::wanted(c) && !c.partial;
  const int column = at.n + int(threadIdx.x) % kFours * 4, count = min(part.n - column, 4);
  Notes notes(c, part.out + column, count);
#pragma unroll 1
  for (int i = int(threadIdx.x); i < M * kFours; i += kThreads)
    finish_conv_four(c, part, int(blockIdx.z), int(blockIdx.y), at.m + i / kFours, column,
                     tile.sums + i / kFours * StagedTile<M, N>::kStride + i % kFours * 4, notes);
  if (noted)
    notes.store(reinterpret_cast<typename Notes::Parts&>(tile), c, noted_tile<M>(c, part, at));
}

// A phase may have fewer pixels than the largest, and a tile none: its sums are 0.
template <ConvPass kPass, int M, int N>
__device__ void finish_empty_tile(const ConvWork& c, const ConvPart<kPass>& part, TileOrigin at) {
  if (kPass != ConvPass::dgrad || !c.sums.to || c.partial) return;
  const NotedTile tile = noted_tile<M>(c, part, at);
  const int column = int(threadIdx.x);
  if (column >= min(tile.columns, N)) return;
  float* to = c.sums.to + tile.number * 2 * c.problem.c + tile.channel + column;
  to[0] = to[c.problem.c] = 0;
}

// Which tile: numbered down columns of eight, as in gemm_block.cuh.
template <int M, int N>
__device__ TileOrigin conv_tile(const ConvWork& c) {
  return tile_origin<M, N>(c.most_m, c.n, int(blockIdx.x));
}

}  // namespace graft::cuda
