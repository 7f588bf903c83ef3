// Photographs as they are decoded, three bytes a pixel, on their way to the kernels of a network's
// first layer: normalised, and in chunks of 16 bytes, as tensor cores load them.
//
// Three channels make no chunk, but a pixel is put down as 4 elements (r g b 0). In f32 that is one.
// In bf16 and f16 two neighbouring taps of a row are one; where the stride is odd a pixel is 8
// elements there, so that the chunks of neighbouring outputs begin at multiples of 16 bytes:
//
//   patch (rows, columns, 4) in bf16, stride 2, filter 7 x 7: a row of taps is 4 chunks, the 8th tap zero
//      column  0  1  2  3  4  5  6  7  8  9
//              └─output 0, chunk 0..3─┘
//                    └─output 1────────────┘          outputs are 2 pixels = 1 chunk apart
//
// The patch of a tile is what its 8 x 16 outputs read. Not yet run on a GPU.
#pragma once
#include "kernels/augment.h"
#include "kernels/cuda/conv2d_geometry.h"
#include "kernels/cuda/gemm_plan.h"
#include "kernels/cuda/launch.cuh"

namespace graft::cuda {

constexpr int kTileRows = 8, kTileColumns = 16;  // of the outputs
constexpr int kTileFilters = 64, kTileThreads = 128;  // of a block

// How the taps of one filter lie in chunks of 16 bytes.
struct TapChunks {
  int chunk, pixel;   // elements: 4 or 8
  int row, count;     // chunks in a row of taps, in the filter
  int rows, columns;  // of the patch that a tile reads

  TapChunks(GemmMath math, const Conv2dProblem& p)
      : chunk(16 / element_size(math)), pixel(p.stride_w % 2 ? chunk : 4),
        row((int(p.s) * pixel + chunk - 1) / chunk),
        count(row * int(p.r)),
        rows((kTileRows - 1) * p.stride_h + int(p.r)),
        columns((kTileColumns - 1) * p.stride_w + row * chunk / pixel) {}

  GRAFT_HD int64_t patch() const { return int64_t(rows) * columns * pixel; }  // elements
};

inline TileGrid tiles_of_outputs(const Conv2dProblem& p) {
  return {int(p.n), int(p.out_h()), int(p.out_w()), kTileRows, kTileColumns};
}

struct Photographs {  // and what of them a kernel is to convolve
  const uint8_t* x;   // (n, h, w, 3)
  PixelTable table;   // (3, 256)
  bool bgr;
  TapChunks chunks;
  TileGrid tiles;

  Photographs(GemmMath math, const Conv2dProblem& p, const uint8_t* x,
              const Normalization& normalization)
      : x(x), table(pixel_table(normalization)), bgr(normalization.bgr), chunks(math, p),
        tiles(tiles_of_outputs(p)) {}

  __device__ Pixel tile(int i) const {  // in tiles
    const int across = tiles.across(), per_image = tiles.down() * across, within = i % per_image;
    return {i / per_image, within / across, within % across};
  }
};

// What the kernels of the first layer take, apart from what has to fit into shared memory.
inline bool takes_photographs(const Conv2dProblem& p) {
  return p.c == 3 && p.groups == 1 && p.dilation_h == 1 && p.dilation_w == 1;
}

// What the 256 values of a channel become -> table (3, 256).
template <int kThreads, class T>
__device__ void load_table(T* table, const Photographs& photographs) {
  for (int i = int(threadIdx.x); i < 3 * 256; i += kThreads)
    table[i] = T(photographs.table.of[i / 256][i % 256]);
}

// The pixels that the tile's outputs read -> patch (rows, columns, pixel); zeros around the image.
// A thread asks for several pixels before it needs the first.
template <int kThreads, class T>
__device__ void load_patch(T* patch, const T* table, const Conv2dProblem& p,
                           const Photographs& photographs, const Pixel& tile) {
  constexpr int kAtOnce = 4;
  const TapChunks& chunks = photographs.chunks;
  const int top = tile.row * kTileRows * p.stride_h - p.pad_top;
  const int left = tile.column * kTileColumns * p.stride_w - p.pad_left;
  const int count = chunks.rows * chunks.columns;
  for (int first = int(threadIdx.x); first < count; first += kAtOnce * kThreads) {
    uint8_t byte[kAtOnce][3];
    bool inside[kAtOnce];
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      const int i = first + j * kThreads;
      const int row = top + i / chunks.columns, column = left + i % chunks.columns;
      inside[j] = i < count && unsigned(row) < unsigned(p.h) && unsigned(column) < unsigned(p.w);
      const int64_t at = ((int64_t(tile.image) * p.h + row) * p.w + column) * 3;
#pragma unroll
      for (int channel = 0; channel < 3; ++channel)
        byte[j][channel] =
            inside[j] ? photographs.x[at + (photographs.bgr ? 2 - channel : channel)] : 0;
    }
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) {
      const int i = first + j * kThreads;
      if (i >= count) break;
      T* pixel = patch + i * chunks.pixel;
#pragma unroll
      for (int channel = 0; channel < 3; ++channel)
        pixel[channel] = inside[j] ? table[channel * 256 + byte[j][channel]] : T(0.0f);
      for (int channel = 3; channel < chunks.pixel; ++channel) pixel[channel] = T(0.0f);
    }
  }
}

}  // namespace graft::cuda
