// Moments of the columns of a tile, taken while its values are on their way out of a kernel.
//
// A thread sums up differences from the first value that it has of a column, and their squares: they
// are small whatever the mean. What the threads of a column have is brought to differences from the
// first one's first value, and added one after the other: the same bits every time. That value is
// one of n, so the sum of squares is at most n + 1 times the spread, and seldom more than a few times.
// Not yet run on a GPU.
#pragma once
#include "kernels/cuda/team.cuh"
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
  // of each group's rows, in each column
  float first[kGroups][kColumns], sum[kGroups][kColumns], squares[kGroups][kColumns];
  int count[kGroups];  // of values in each column

  // Of one column; the first group has a value.
  __device__ ChannelMoments merged(int column) const {
    const float pivot = first[0][column];
    float all = sum[0][column], all_squares = squares[0][column];
    int rows = count[0];
    for (int g = 1; g < kGroups; ++g) {
      if (count[g] == 0) continue;
      const auto n = float(count[g]);
      const float shift = first[g][column] - pivot, part = sum[g][column];
      all += part + n * shift;
      all_squares += squares[g][column] + shift * (2 * part + n * shift);
      rows += count[g];
    }
    const float shift = all / float(rows);
    return {pivot + shift, max(all_squares - all * shift, 0.0f)};
  }
};

// The team's threads lie over the tile's columns, kWidth each, in kGroups. -> to (columns)
template <class Team, int kWidth, int kColumns, int kGroups>
__device__ void store_tile_moments(MomentParts<kColumns, kGroups>& parts,
                                   const ThreadMoments<kWidth>& own, int columns,
                                   ChannelMoments* to) {
  constexpr int kAcross = kColumns / kWidth;
  const int thread = Team::thread(), group = thread / kAcross;
  Team::meet();  // what was in their place is no longer read
#pragma unroll
  for (int j = 0; j < kWidth; ++j) {
    const int column = thread % kAcross * kWidth + j;
    parts.first[group][column] = own.first[j];
    parts.sum[group][column] = own.sum[j];
    parts.squares[group][column] = own.squares[j];
  }
  if (thread % kAcross == 0) parts.count[group] = own.count;
  Team::meet();
  if (thread < min(columns, kColumns)) to[thread] = parts.merged(thread);
}

}  // namespace graft::cuda
