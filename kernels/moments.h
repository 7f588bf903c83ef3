// What the kernel that computes a matrix (rows, channels) leaves of it, tile of rows by tile, so
// that batch norm need not read it once more: moments of the channels, for its statistics; and of
// the gradient of its result, the sums that its backward pass begins with.
#pragma once
#include <cstdint>

#include "kernels/host_device.h"

namespace graft::cuda {

struct ChannelMoments {  // of a tile's values of one channel
  float mean;
  float spread;  // sum of the squared differences from the mean
};

// How the rows are divided: they are pixels (images, height, width), a tile some of an image's.
struct TileGrid {
  int images, height, width;
  int tile_height, tile_width;  // the last ones of an image may be smaller

  GRAFT_HD int down() const { return (height + tile_height - 1) / tile_height; }
  GRAFT_HD int across() const { return (width + tile_width - 1) / tile_width; }
  GRAFT_HD int count() const { return images * down() * across(); }
  GRAFT_HD int rows_of(int tile) const {
    const int below = height - tile / across() % down() * tile_height;
    const int right = width - tile % across() * tile_width;
    return (below < tile_height ? below : tile_height) * (right < tile_width ? right : tile_width);
  }
};

// So many rows after the other are a tile.
inline TileGrid rows_in_tiles(int64_t rows, int64_t of_tile) {
  return {1, 1, int(rows), 1, int(of_tile)};
}

struct TileMoments {
  const ChannelMoments* of;  // (tiles, channels) in device memory
  TileGrid tiles;
};

struct GradientSums {  // of g = dy act'(z), with z = (x - mean) rstd gamma + beta and dy the matrix
  const float* of;     // (tiles, 2, channels) in device memory: sum(g), sum(g (x - mean))
  int64_t tiles;
};

}  // namespace graft::cuda
