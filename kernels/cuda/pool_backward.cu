// Pooling backward: a thread does kWidth channels of an input pixel and gathers from the windows
// that hold it, in their order: no atomics, nothing to clear, the same bits every time.
//
// Bytes moved: dx once and dy (and taps) once, for neighbours' reads meet in the caches.
// Not yet run on a GPU.
#include "kernels/cuda/pool_threads.cuh"

namespace graft::cuda {
namespace {

// dy, tap (n, h.out, w.out, c) -> dx (n, h.in, w.in, c)
template <class T, int kWidth>
__global__ void __launch_bounds__(kBlock)
    max_gradient(const PixelGrid g, const PoolProblem p, const T* dy, const uint8_t* tap, T* dx) {
  const Pixel at = Pixel::of_thread<kWidth>(g);
  if (!at.inside) return;
  const int64_t image = at.image * p.h.out * p.w.out * p.c + at.channel;
  const int width = int(p.w.out), channels = int(p.c);
  float sum[kWidth] = {};
  each_window_over(p.h, at.row, [&](int oh, const PoolWindow& rows) {
    each_window_over(p.w, at.column, [&](int ow, const PoolWindow& columns) {
      const auto here = uint8_t((at.row - int(rows.origin)) * int(p.w.window) + at.column -
                                int(columns.origin));
      const int64_t from = image + (oh * width + ow) * channels;
      float v[kWidth];
      uint8_t winner[kWidth];
      load(v, dy + from);
      load_raw(winner, tap + from);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sum[j] += winner[j] == here ? v[j] : 0.0f;
    });
  });
  store(dx + ((at.image * p.h.in + at.row) * p.w.in + at.column) * p.c + at.channel, sum);
}

// dy (n, h.out, w.out, c) -> dx (n, h.in, w.in, c)
template <class T, int kWidth>
__global__ void __launch_bounds__(kBlock)
    mean_gradient(const PixelGrid g, const PoolProblem p, const T* dy, T* dx) {
  const Pixel at = Pixel::of_thread<kWidth>(g);
  if (!at.inside) return;
  const int64_t image = at.image * p.h.out * p.w.out * p.c + at.channel;
  const int width = int(p.w.out), channels = int(p.c);
  float sum[kWidth] = {};
  each_window_over(p.h, at.row, [&](int oh, const PoolWindow& rows) {
    each_window_over(p.w, at.column, [&](int ow, const PoolWindow& columns) {
      const float factor = 1.0f / float(rows.divisor * columns.divisor);
      float v[kWidth];
      load(v, dy + image + (oh * width + ow) * channels);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sum[j] += v[j] * factor;
    });
  });
  store(dx + ((at.image * p.h.in + at.row) * p.w.in + at.column) * p.c + at.channel, sum);
}

}  // namespace

template <class T>
void max_pool_backward(const PoolProblem& p, const T* dy, const uint8_t* tap, T* dx,
                       Stream stream) {
  if (p.in_size() == 0) return;
  with_width<kPack<T>>(aligned({dy, dx}) && aligned({tap}, kPack<T>) && p.c % kPack<T> == 0,
                       [&](auto width) {
                         const PixelGrid g = pixel_grid(p.n, p.h.in, p.w.in, p.c / width);
                         launch(max_gradient<T, width>, {g.grid(), dim3(g.block), 0, stream}, g, p,
                                dy, tap, dx);
                       });
}

template <class T>
void avg_pool_backward(const PoolProblem& p, const T* dy, T* dx, Stream stream) {
  if (p.in_size() == 0) return;
  with_width<kPack<T>>(aligned({dy, dx}) && p.c % kPack<T> == 0, [&](auto width) {
    const PixelGrid g = pixel_grid(p.n, p.h.in, p.w.in, p.c / width);
    launch(mean_gradient<T, width>, {g.grid(), dim3(g.block), 0, stream}, g, p, dy, dx);
  });
}

#define GRAFT_POOL_BACKWARD(T)                                                                 \
  template void max_pool_backward(const PoolProblem&, const T*, const uint8_t*, T*, Stream);   \
  template void avg_pool_backward(const PoolProblem&, const T*, T*, Stream);
GRAFT_FOR_FLOATS(GRAFT_POOL_BACKWARD)
#undef GRAFT_POOL_BACKWARD

}  // namespace graft::cuda
