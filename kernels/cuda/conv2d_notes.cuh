// What the kernels of a convolution note of their result while they store it, for the batch norm
// that comes next, one tile of rows at a time:
//
//   fprop   moments (tiles, k): mean and spread of each channel             tile_moments.cuh
//   dgrad   sums.to (tiles, 2, c): sums of the norm's gradient              tile_gradients.cuh
//   wgrad   nothing
//
// A thread has kWidth neighbouring channels and every kGroups-th row of a tile. It notes what was
// stored, after the rounding. Not yet run on a GPU.
#pragma once
#include "kernels/cuda/gemm_block.cuh"
#include "kernels/cuda/tile_gradients.cuh"

namespace graft::cuda {

// Which tile of the result, counted over phases, of which fprop has one; its first channel, and how
// many there are from there on.
struct NotedTile {
  int number, channel, columns;
};

// Of one thread, which has kWidth neighbouring channels: `count` of them exist, from `channel` on.
// The threads of a team are kGroups rows of kColumns channels.
template <ConvPass kPass, int kWidth, int kColumns, int kGroups, class Team = WholeBlock>
struct ConvNotes {
  struct Parts {};  // of a block, in shared memory

  __device__ ConvNotes(const ConvWork&, int64_t /*channel*/, int /*count*/) {}
  __host__ __device__ static bool wanted(const ConvWork&) { return false; }
  // v is what element `at` and its neighbours of the result were, but for the rounding.
  __device__ void add(const ConvWork&, int64_t /*at*/, int /*count*/, float (&)[kWidth]) {}
  __device__ void store(Parts&, const ConvWork&, const NotedTile&) const {}
};

template <int kWidth, int kColumns, int kGroups, class Team>
struct ConvNotes<ConvPass::fprop, kWidth, kColumns, kGroups, Team> {
  using Parts = MomentParts<kColumns, kGroups>;
  ThreadMoments<kWidth> moments;

  __device__ ConvNotes(const ConvWork&, int64_t, int) {}
  __host__ __device__ static bool wanted(const ConvWork& c) { return c.moments; }

  __device__ void add(const ConvWork& c, int64_t, int, float (&v)[kWidth]) {
    round_as_stored(v, c.out_type);
    moments.add(v);
  }
  __device__ void store(Parts& parts, const ConvWork& c, const NotedTile& tile) const {
    store_tile_moments<Team>(parts, moments, tile.columns,
                             c.moments + tile.number * c.problem.k + tile.channel);
  }
};

template <int kWidth, int kColumns, int kGroups, class Team>
struct ConvNotes<ConvPass::dgrad, kWidth, kColumns, kGroups, Team> {
  using Parts = GradientParts<kColumns, kGroups>;
  NormChannels<kWidth> channels;
  ThreadGradients<kWidth> gradients;

  __device__ ConvNotes(const ConvWork& c, int64_t channel, int count)
      : channels(c.sums.norm.of, channel, wanted(c) ? count : 0) {}
  __host__ __device__ static bool wanted(const ConvWork& c) { return c.sums.to; }

  __device__ void add(const ConvWork& c, int64_t at, int count, float (&v)[kWidth]) {
    float x[kWidth];
    if constexpr (kWidth == 4)
      load_some(x, c.sums.x, c.out_type, at, c.vectors_out, count);
    else
      x[0] = load_as_float(c.sums.x, c.out_type, at);
    round_as_stored(v, c.out_type);
    gradients.add(c.sums.norm, channels, x, v);
  }
  __device__ void store(Parts& parts, const ConvWork& c, const NotedTile& tile) const {
    store_tile_gradients<Team>(parts, gradients, tile.columns,
                               c.sums.to + tile.number * 2 * c.problem.c + tile.channel,
                               c.problem.c);
  }
};

}  // namespace graft::cuda
