// Maps (n,h,w,c) in windows of tokens and back: after padding with zeros below and to the right up
// to whole windows, and a cyclic shift up and to the left.
#pragma once
#include <cstdint>

#include "kernels/runtime.h"

namespace graft {

struct WindowProblem {
  int64_t n, h, w, c;
  int64_t window_h, window_w;
  int64_t shift_h = 0, shift_w = 0;  // pixels, smaller than the padded map
  bool columns_first = false;        // order of the pixels in a window

  int64_t rows() const { return (h + window_h - 1) / window_h; }  // of windows
  int64_t columns() const { return (w + window_w - 1) / window_w; }
  int64_t tokens() const { return window_h * window_w; }          // of a window
};

namespace cpu {

// x (n,h,w,c) -> y (n, rows, columns, tokens, c); what is padding is 0.
void to_windows(const WindowProblem& p, const float* x, float* y);
// The way back, which leaves the padding out; each is the other's gradient.
void from_windows(const WindowProblem& p, const float* y, float* x);

// mask (rows, columns, tokens, tokens): `value` where the shift has put two tokens of a window
// together that are not neighbours in the padded map, else 0.
void window_mask(const WindowProblem& p, float value, float* mask);

}  // namespace cpu

namespace cuda {

// As above, in device memory; T is float, bf16 or f16. A mask is made once, by the processor.
template <class T>
void to_windows(const WindowProblem& p, const T* x, T* y, Stream stream);
template <class T>
void from_windows(const WindowProblem& p, const T* y, T* x, Stream stream);

}  // namespace cuda
}  // namespace graft
