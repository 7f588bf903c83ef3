// Pooling forward: a thread does kWidth channels of an output pixel and reads its window.
//
// Bytes moved: x once (windows overlap, but neighbours' reads meet in the caches), y, and one byte
// for each output for the taps of max pooling; that is the limit. Sums and comparisons go in the
// processor's order, so that results are the same bits.
// Not yet run on a GPU.
#include "kernels/pool.h"

#include <limits>

#include "kernels/cuda/pool_threads.cuh"

namespace graft::cuda {
namespace {

// x (n, h.in, w.in, c) -> y, tap (n, h.out, w.out, c)
template <class T, int kWidth, bool kTaps>
__global__ void __launch_bounds__(kBlock, 4)
    max_of_windows(const PixelGrid g, const PoolProblem p, const T* x, T* y, uint8_t* tap) {
  const Pixel at = Pixel::of_thread<kWidth>(g);
  if (!at.inside) return;
  const PoolWindow rows = p.h.at(at.row), columns = p.w.at(at.column);
  const T* image = x + at.image * p.h.in * p.w.in * p.c + at.channel;
  float best[kWidth];
  uint8_t winner[kWidth];
  const int first =
      int((rows.begin - rows.origin) * p.w.window + columns.begin - columns.origin);
#pragma unroll
  for (int j = 0; j < kWidth; ++j) {
    best[j] = -std::numeric_limits<float>::infinity();
    winner[j] = uint8_t(first);
  }
  const int width = int(p.w.in), channels = int(p.c);
  for (int h = int(rows.begin); h < int(rows.end); ++h)
    for (int w = int(columns.begin); w < int(columns.end); ++w) {
      const int here = (h - int(rows.origin)) * int(p.w.window) + w - int(columns.origin);
      float v[kWidth];
      load(v, image + (h * width + w) * channels);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        const bool wins = v[j] > best[j] || v[j] != v[j];  // NaN wins
        best[j] = wins ? v[j] : best[j];
        if constexpr (kTaps) winner[j] = wins ? uint8_t(here) : winner[j];
      }
    }
  const int64_t out =
      ((at.image * p.h.out + at.row) * p.w.out + at.column) * p.c + at.channel;
  store(y + out, best);
  if constexpr (kTaps) store_raw(tap + out, winner);
}

// x (n, h.in, w.in, c) -> y (n, h.out, w.out, c)
template <class T, int kWidth>
__global__ void __launch_bounds__(kBlock)
    mean_of_windows(const PixelGrid g, const PoolProblem p, const T* x, T* y) {
  const Pixel at = Pixel::of_thread<kWidth>(g);
  if (!at.inside) return;
  const PoolWindow rows = p.h.at(at.row), columns = p.w.at(at.column);
  const T* image = x + at.image * p.h.in * p.w.in * p.c + at.channel;
  const int width = int(p.w.in), channels = int(p.c);
  float sum[kWidth] = {};
  for (int h = int(rows.begin); h < int(rows.end); ++h)
    for (int w = int(columns.begin); w < int(columns.end); ++w) {
      float v[kWidth];
      load(v, image + (h * width + w) * channels);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sum[j] += v[j];
    }
  const float factor = 1.0f / float(rows.divisor * columns.divisor);
#pragma unroll
  for (int j = 0; j < kWidth; ++j) sum[j] *= factor;
  store(y + ((at.image * p.h.out + at.row) * p.w.out + at.column) * p.c + at.channel, sum);
}

}  // namespace

template <class T>
void max_pool(const PoolProblem& p, const T* x, T* y, uint8_t* tap, Stream stream) {
  if (p.out_size() == 0) return;
  with_width<kPack<T>>(aligned({x, y}) && aligned({tap}, kPack<T>) && p.c % kPack<T> == 0,
                       [&](auto width) {
                         const PixelGrid g = pixel_grid(p.n, p.h.out, p.w.out, p.c / width);
                         launch(tap ? max_of_windows<T, width, true>
                                    : max_of_windows<T, width, false>,
                                {g.grid(), dim3(g.block), 0, stream}, g, p, x, y, tap);
                       });
}

template <class T>
void avg_pool(const PoolProblem& p, const T* x, T* y, Stream stream) {
  if (p.out_size() == 0) return;
  with_width<kPack<T>>(aligned({x, y}) && p.c % kPack<T> == 0, [&](auto width) {
    const PixelGrid g = pixel_grid(p.n, p.h.out, p.w.out, p.c / width);
    launch(mean_of_windows<T, width>, {g.grid(), dim3(g.block), 0, stream}, g, p, x, y);
  });
}

#define GRAFT_POOL(T)                                                              \
  template void max_pool(const PoolProblem&, const T*, T*, uint8_t*, Stream);      \
  template void avg_pool(const PoolProblem&, const T*, T*, Stream);
GRAFT_FOR_FLOATS(GRAFT_POOL)
#undef GRAFT_POOL

}  // namespace graft::cuda
