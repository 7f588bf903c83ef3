// Sums over the columns of a tile with which the backward pass of a batch norm begins, taken while
// the gradient of its result is on its way out of a kernel: with g = dy act'(z), sum(g) and sum(g
// (x - mean)).
//
// A thread adds up what it has of a column, and what the threads of a column have is added one
// after the other: the same bits every time. A tile has no more than a few hundred rows: their sums
// are in float, those of the tiles in double (norm_backward.cu). Not yet run on a GPU.
#pragma once
#include "kernels/cuda/conv2d_launch.h"
#include "kernels/cuda/norm_columns.cuh"
#include "kernels/cuda/team.cuh"

namespace graft::cuda {

template <int kWidth>
struct ThreadGradients {  // of the rows that one thread has, in kWidth neighbouring channels
  float sum[kWidth] = {}, slope[kWidth] = {};

  __device__ void add(const InputNorm& norm, const NormChannels<kWidth>& channels,
                      const float (&x)[kWidth], const float (&dy)[kWidth]) {
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      const float z = channels.normalized(j, x[j]);
      const bool passes = norm.of.activation == Activation::none || (z > norm.low && z < norm.high);
      const float g = passes ? dy[j] : 0.0f;
      sum[j] += g;
      slope[j] += g * (x[j] - channels.mean[j]);
    }
  }
};

template <int kColumns, int kGroups>
struct GradientParts {
  float of[2][kGroups][kColumns];  // sum(g), sum(g (x - mean)) of each group's rows
};

// The team's threads lie over the tile's columns, kWidth each, in kGroups. -> to (2, stride)
template <class Team, int kWidth, int kColumns, int kGroups>
__device__ void store_tile_gradients(GradientParts<kColumns, kGroups>& parts,
                                     const ThreadGradients<kWidth>& own, int columns, float* to,
                                     int64_t stride) {
  constexpr int kAcross = kColumns / kWidth;
  const int thread = Team::thread(), group = thread / kAcross;
  Team::meet();  // what was in their place is no longer read
#pragma unroll
  for (int j = 0; j < kWidth; ++j) {
    const int column = thread % kAcross * kWidth + j;
    parts.of[0][group][column] = own.sum[j];
    parts.of[1][group][column] = own.slope[j];
  }
  Team::meet();
  if (thread >= min(columns, kColumns)) return;
#pragma unroll
  for (int k = 0; k < 2; ++k) {
    float all = parts.of[k][0][thread];
    for (int g = 1; g < kGroups; ++g) all += parts.of[k][g][thread];
    to[k * stride + thread] = all;
  }
}

}  // namespace graft::cuda
