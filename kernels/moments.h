// What the kernel that computes a matrix (rows, channels) leaves of it, tile of rows by tile, so that
// batch norm need not read it once more: moments of the channels, for its statistics; and of the
// gradient of its result, the sums that its backward pass begins with.
#pragma once
#include <cstdint>

namespace graft::cuda {

struct ChannelMoments {  // of a tile's values of one channel
  float mean;
  float spread;  // sum of the squared differences from the mean
};

struct TileMoments {
  const ChannelMoments* of;  // (tiles, channels) in device memory
  int64_t rows;              // of a tile; the last one may have fewer
};

struct GradientSums {  // of g = dy act'(z), with z = (x - mean) rstd gamma + beta and dy the matrix
  const float* of;     // (tiles, 2, channels) in device memory: sum(g), sum(g (x - mean))
  int64_t tiles;
};

inline int64_t moment_tiles(int64_t rows, int64_t rows_of_tile) {
  return (rows + rows_of_tile - 1) / rows_of_tile;
}

}  // namespace graft::cuda
