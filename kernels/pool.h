// Pooling over the two image dimensions of NHWC tensors. Max pooling can keep, per output, which
// tap of the window won, one byte each; average pooling in every form (plain, adaptive, global) is
// one kernel, for all differ only in where windows lie and what they divide by.
#pragma once
#include <cstdint>

#include "kernels/elementwise.h"
#include "kernels/runtime.h"

namespace graft {

struct PoolWindow {
  int64_t begin, end;  // input positions [begin, end), clipped to the input
  int64_t divisor;     // what an average divides by, along this axis
  int64_t origin;      // of tap 0; before begin where the window starts in the padding
};

// One axis: output i looks at the window at(i). Plain numbers, to be handed to a device.
struct PoolAxis {
  int64_t in = 1, out = 1;
  int64_t window = 1, stride = 1, before = 0, after = 0;
  bool adaptive = false, count_padding = true;

  GRAFT_HD PoolWindow at(int64_t i) const {
    if (adaptive) {  // floor(i in / out) .. ceil((i + 1) in / out), as PyTorch
      int64_t begin = i * in / out, end = ((i + 1) * in + out - 1) / out;
      return {begin, end, end - begin, begin};
    }
    int64_t origin = i * stride - before, limit = origin + window;
    int64_t padded = limit < in + after ? limit : in + after;
    int64_t begin = origin > 0 ? origin : 0, end = limit < in ? limit : in;
    return {begin, end, (count_padding ? padded - origin : end - begin), origin};
  }
};

// `ceil_mode` adds the last, partial window where it starts inside the input or its first padding.
constexpr PoolAxis pool_axis(int64_t in, int64_t window, int64_t stride, int64_t before,
                             int64_t after, bool ceil_mode, bool count_padding) {
  int64_t room = in + before + after - window;
  int64_t out = room < 0 ? 0 : (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  if (ceil_mode && out > 0 && (out - 1) * stride >= in + before) --out;
  return {in, out, window, stride, before, after, false, count_padding};
}

constexpr PoolAxis adaptive_axis(int64_t in, int64_t out) {
  return {in, out, 1, 1, 0, 0, true, false};
}

struct PoolProblem {
  int64_t n, c;
  PoolAxis h, w;

  int64_t in_size() const { return n * h.in * w.in * c; }
  int64_t out_size() const { return n * h.out * w.out * c; }
};

namespace cpu {

// tap: like y, or null: row * window width + column of the largest element in its window, the
// first one of equals. At most 256 taps. NaN wins.
void max_pool(const PoolProblem& p, const float* x, float* y, uint8_t* tap);
void max_pool_backward(const PoolProblem& p, const float* dy, const uint8_t* tap, float* dx);

void avg_pool(const PoolProblem& p, const float* x, float* y);
void avg_pool_backward(const PoolProblem& p, const float* dy, float* dx);

}  // namespace cpu

namespace cuda {

// As above, in device memory; T is float, bf16 or f16. An image has less than 2^31 elements.
template <class T>
void max_pool(const PoolProblem& p, const T* x, T* y, uint8_t* tap, Stream stream);
template <class T>
void max_pool_backward(const PoolProblem& p, const T* dy, const uint8_t* tap, T* dx, Stream stream);

template <class T>
void avg_pool(const PoolProblem& p, const T* x, T* y, Stream stream);
template <class T>
void avg_pool_backward(const PoolProblem& p, const T* dy, T* dx, Stream stream);

}  // namespace cuda
}  // namespace graft
