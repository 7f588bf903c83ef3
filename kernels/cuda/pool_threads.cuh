// How threads lie over an image tensor (n,h,w,c) for pooling: blocks take a part of one row of
// pixels each, threads kWidth channels of a pixel. So what depends on the row is the same for the
// whole block, and indices within a row are 32 bits.
//
//   row of pixels (w,c):   │ pixel 0: pack 0, 1, ... │ pixel 1: pack 0, 1, ... │ ...
//                            thread 0, 1, ...        up to 256 of a block, `parts` blocks a row
//
// Not yet run on a GPU.
#pragma once
#include "kernels/cuda/pack.cuh"
#include "kernels/pool.h"

namespace graft::cuda {

struct PixelGrid {
  int64_t rows;  // of pixels, over all images
  int height;    // of an image
  int width, packs;  // threads for a row: pixels, and packs of channels for each
  unsigned parts;    // blocks for a row

  dim3 grid() const { return dim3(unsigned(rows * parts)); }
  unsigned block;  // threads
};

inline PixelGrid pixel_grid(int64_t images, int64_t height, int64_t width, int64_t packs) {
  const int64_t threads = width * packs;
  const auto block = unsigned(std::min<int64_t>((threads + 31) / 32 * 32, kBlock));
  return {images * height, int(height),
          int(width),      int(packs),
          unsigned((threads + block - 1) / block), block};
}

struct Pixel {
  int64_t image;
  int row, column;
  int channel;
  bool inside;  // else there is nothing for this thread

  template <int kWidth>
  static __device__ Pixel of_thread(const PixelGrid& g) {
    const unsigned row = blockIdx.x / g.parts;
    const unsigned at = blockIdx.x % g.parts * blockDim.x + threadIdx.x;
    return {int64_t(row / unsigned(g.height)), int(row % unsigned(g.height)),
            int(at / unsigned(g.packs)), int(at % unsigned(g.packs)) * kWidth,
            at < unsigned(g.width) * unsigned(g.packs)};
  }
};

// Calls body(i, window) for every output i of the axis whose window holds the input position.
template <class Body>
__device__ inline void each_window_over(const PoolAxis& axis, int position, const Body& body) {
  int first = 0;
  if (axis.adaptive) {
    first = int(int64_t(position) * axis.out / axis.in);
    while (first > 0 && axis.at(first - 1).end > position) --first;
  } else {
    const int past = position + int(axis.before) - int(axis.window);  // the last origin too early
    first = past < 0 ? 0 : past / int(axis.stride) + 1;
  }
  for (int i = first; i < axis.out; ++i) {
    const PoolWindow window = axis.at(i);
    if (window.begin > position) break;
    if (window.end > position) body(i, window);
  }
}

}  // namespace graft::cuda
