// Moments of the columns of a tile, taken while its values are on their way out of a kernel.
//
// A thread sums up differences from the first value that it has of a column, and their squares: they
// are small whatever the mean. What the threads of a column have is brought to differences from the
// first one's first value, and added one after the other: the same bits every time. That value is
// one of n, so the sum of squares is at most n + 1 times the spread, and seldom more than a few times.
#pragma once
#include "kernels/cuda/launch.cuh"
#include "kernels/moments.h"

namespace graft::cuda {

template <int kWidth>
struct ThreadMoments {  // of the values that one thread has, in kWidth neighbouring columns
  int count = 0;
  float first[kWidth] = {}, sum[kWidth] = {}, squares[kWidth] = {};

  __device__ void add(const float (&v)[kWidth]) {
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      if (count == 0) first[j] = v[j];
      const float d = v[j] - first[j];
      sum[j] += d;
      squares[j] += d * d;
    }
    ++count;
  }
};

template <int kColumns, int kGroups>
struct MomentParts {
  float first[kGroups][kColumns], sum[kGroups][kColumns], squares[kGroups][kColumns];

  // Of one column, in whose groups there are `rows` values.
  __device__ ChannelMoments merged(int column, int rows) const {
    const float pivot = first[0][column];
    float all = sum[0][column], all_squares = squares[0][column];
    for (int g = 1; g < min(rows, kGroups); ++g) {
      const auto n = float((rows - g + kGroups - 1) / kGroups);
      const float shift = first[g][column] - pivot, part = sum[g][column];
      all += part + n * shift;
      all_squares += squares[g][column] + shift * (2 * part + n * shift);
    }
    const float shift = all / float(rows);
    return {pivot + shift, max(all_squares - all * shift, 0.0f)};
  }
};

// The block's threads lie over the tile's columns, kWidth each, in kGroups: group g has the rows
// g, g + kGroups, ... of `rows`. -> to (columns)
template <int kWidth, int kColumns, int kGroups>
__device__ void store_tile_moments(MomentParts<kColumns, kGroups>& parts,
                                   const ThreadMoments<kWidth>& own, int rows, int columns,
                                   ChannelMoments* to) {
  constexpr int kAcross = kColumns / kWidth;
  const int thread = int(threadIdx.x), group = thread / kAcross;
  __syncthreads();  // what was in their place is no longer read
#pragma unroll
  for (int j = 0; j < kWidth; ++j) {
    const int column = thread % kAcross * kWidth + j;
    parts.first[group][column] = own.first[j];
    parts.sum[group][column] = own.sum[j];
    parts.squares[group][column] = own.squares[j];
  }
  __syncthreads();
  if (thread < min(columns, kColumns)) to[thread] = parts.merged(thread, rows);
}

}  // namespace graft::cuda
