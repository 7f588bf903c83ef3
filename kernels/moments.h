// Moments of the channels of a matrix (rows, channels), tile of rows by tile: what the kernel that
// computes the matrix leaves of it, so that batch norm need not read it again for its statistics.
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

inline int64_t moment_tiles(int64_t rows, int64_t rows_of_tile) {
  return (rows + rows_of_tile - 1) / rows_of_tile;
}

}  // namespace graft::cuda
