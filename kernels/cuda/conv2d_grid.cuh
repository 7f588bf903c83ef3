// The blocks of a convolution that is computed tile by tile: x counts the tiles of the largest part,
// whose smaller neighbours leave some blocks idle, y groups and phases, z the parts of a split depth;
// conv2d_block.cuh finds a block's share from them. Not yet run on a GPU.
#pragma once
#include "kernels/cuda/conv2d_launch.h"
#include "kernels/cuda/launch.cuh"

namespace graft::cuda {

inline Launch conv_launch(const ConvWork& c, const GemmTile& tile, int splits, size_t shared,
                          Stream stream) {
  const auto tiles = int64_t((c.most_m + tile.m - 1) / tile.m) * ((c.n + tile.n - 1) / tile.n);
  return {dim3(unsigned(tiles), unsigned(c.parts), unsigned(splits)), dim3(unsigned(tile.threads())),
          shared, stream};
}

}  // namespace graft::cuda
