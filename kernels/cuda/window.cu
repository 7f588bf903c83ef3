// Windows of tokens and back. Both ways gather: a thread makes 16 bytes of its result, so that
// every element is written once, the padding's zeros too, and writes are in order.
//
// Bytes moved: each array once, the limit. Not yet run on a GPU.
#include "kernels/window.h"

#include "kernels/cuda/pack.cuh"

namespace graft::cuda {
namespace {

// y (n, rows, columns, tokens, c), element after element, from x (n,h,w,c)
template <class T>
struct ToWindows {
  WindowProblem p;
  const T* x;  // (n, h, w, c)
  T* y;        // (n, rows, columns, tokens, c)

  template <int kWidth>
  __device__ void run(int64_t row, int64_t channel) const {  // row: a token
    const int64_t columns = (p.w + p.window_w - 1) / p.window_w;
    const int64_t rows = (p.h + p.window_h - 1) / p.window_h, tokens = p.window_h * p.window_w;
    const int64_t window = row / tokens, token = row - window * tokens;
    const int64_t i = p.columns_first ? token % p.window_h : token / p.window_w;
    const int64_t j = p.columns_first ? token / p.window_h : token % p.window_w;
    const int64_t down = window / columns;  // windows above, in all images
    const int64_t image = down / rows;
    const int64_t height = rows * p.window_h, width = columns * p.window_w;
    const int64_t at_y = ((down - image * rows) * p.window_h + i + p.shift_h) % height;
    const int64_t at_x = ((window - down * columns) * p.window_w + j + p.shift_w) % width;
    T v[kWidth] = {};
    if (at_y < p.h && at_x < p.w)
      load_raw(v, x + ((image * p.h + at_y) * p.w + at_x) * p.c + channel);
    store_raw(y + row * p.c + channel, v);
  }
};

// The other way.
template <class T>
struct FromWindows {
  WindowProblem p;
  const T* y;  // (n, rows, columns, tokens, c)
  T* x;        // (n, h, w, c)

  template <int kWidth>
  __device__ void run(int64_t row, int64_t channel) const {  // row: a pixel
    const int64_t columns = (p.w + p.window_w - 1) / p.window_w;
    const int64_t rows = (p.h + p.window_h - 1) / p.window_h, tokens = p.window_h * p.window_w;
    const int64_t line = row / p.w, image = line / p.h;
    const int64_t height = rows * p.window_h, width = columns * p.window_w;
    const int64_t at_y = (line - image * p.h - p.shift_h + height) % height;
    const int64_t at_x = (row - line * p.w - p.shift_w + width) % width;
    const int64_t i = at_y % p.window_h, j = at_x % p.window_w;
    const int64_t window = (image * rows + at_y / p.window_h) * columns + at_x / p.window_w;
    const int64_t token = p.columns_first ? j * p.window_h + i : i * p.window_w + j;
    T v[kWidth];
    load_raw(v, y + (window * tokens + token) * p.c + channel);
    store_raw(x + row * p.c + channel, v);
  }
};

// f.run<W>(row, channel) does W channels of a row of the result (rows, channels).
template <int kWidth, class F>
__global__ void __launch_bounds__(kBlock) move_pixels(int64_t count, int64_t packs, const F f) {
  const int64_t i = int64_t(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= count) return;
  const int64_t row = i / packs;
  f.template run<kWidth>(row, (i - row * packs) * kWidth);
}

template <class T, class F>
void for_each_pixel(int64_t rows, int64_t channels, bool vectors, const F& f, Stream stream) {
  if (rows <= 0 || channels <= 0) return;
  with_width<kPack<T>>(vectors && channels % kPack<T> == 0, [&](auto width) {
    const int64_t packs = channels / width, count = rows * packs;
    launch(move_pixels<width, F>, {dim3(blocks_for(count)), dim3(kBlock), 0, stream}, count, packs,
           f);
  });
}

}  // namespace

template <class T>
void to_windows(const WindowProblem& p, const T* x, T* y, Stream stream) {
  for_each_pixel<T>(p.n * p.rows() * p.columns() * p.tokens(), p.c, aligned({x, y}),
                    ToWindows<T>{p, x, y}, stream);
}

template <class T>
void from_windows(const WindowProblem& p, const T* y, T* x, Stream stream) {
  for_each_pixel<T>(p.n * p.h * p.w, p.c, aligned({y, x}), FromWindows<T>{p, y, x}, stream);
}

#define GRAFT_WINDOW(T)                                                 \
  template void to_windows(const WindowProblem&, const T*, T*, Stream); \
  template void from_windows(const WindowProblem&, const T*, T*, Stream);
GRAFT_FOR_FLOATS(GRAFT_WINDOW)
#undef GRAFT_WINDOW

}  // namespace graft::cuda
