// A convolution as a matrix product whose matrices are never written down ("implicit GEMM"):
//
//            m                     n              depth
//   fprop    output pixels         K              taps x C     A gathers x,  B is w
//   dgrad    input pixels          C              taps x K     A gathers dy, B is w, transposed
//   wgrad    K                     taps x C       out. pixels  A is dy,      B gathers x
//
// Everything here is for one group; a group's channels are a part of a pixel's. A stride divides
// the input pixels of dgrad into stride_h x stride_w phases, each of which meets its own taps of
// the filter and no others: a phase is a dense product of its own, and no tap is multiplied by the
// zeros between the outputs. Not yet run on a GPU.
#pragma once
#include "kernels/conv2d.h"

namespace graft::cuda {

// n / divisor for 0 <= n < 2^31 by a multiplication (Granlund and Montgomery, 1994).
struct Divider {
  uint32_t divisor = 1, factor = 0, shift = 0;

  Divider() = default;
  GRAFT_HD explicit Divider(int64_t d) : divisor(uint32_t(d)) {
    while ((uint64_t(1) << shift) < divisor) ++shift;
    factor = uint32_t(((uint64_t(1) << 32) * ((uint64_t(1) << shift) - divisor)) / divisor + 1);
  }
  GRAFT_HD int divide(int n) const {
    const auto high = uint32_t((uint64_t(uint32_t(n)) * factor) >> 32);
    return int((high + uint32_t(n)) >> shift);
  }
};

struct Pixel {
  int image, row, column;
};

struct PixelGrid {  // pixels counted through: images x rows x columns
  int images = 0, rows = 0, columns = 0;
  Divider by_columns, by_image;

  PixelGrid() = default;
  GRAFT_HD PixelGrid(int64_t n, int64_t h, int64_t w)
      : images(int(n)), rows(int(h)), columns(int(w)), by_columns(w > 0 ? w : 1),
        by_image(h * w > 0 ? h * w : 1) {}
  GRAFT_HD int size() const { return images * rows * columns; }
  GRAFT_HD Pixel at(int i) const {
    const int image = by_image.divide(i), rest = i - image * rows * columns;
    const int row = by_columns.divide(rest);
    return {image, row, rest - row * columns};
  }
};

// Along one side: pixel i of the grid and tap t meet pixel scale i + origin + step t of the source.
struct Side {
  int size;  // of the source
  int scale, origin, step, taps;
  int first_tap = 0, tap_step = 1;  // tap t is row first_tap + tap_step t of the filter

  GRAFT_HD int start(int i) const { return scale * i + origin; }
  // What the lowest of the taps meets at pixel 0, and how far above it tap t does.
  GRAFT_HD int lowest() const { return origin + (step < 0 ? step * (taps - 1) : 0); }
  GRAFT_HD int offset(int t) const { return origin + step * t - lowest(); }
};

GRAFT_HD inline Side forward_side(int size, int stride, int pad, int dilation, int taps) {
  return {size, stride, -pad, dilation, taps};
}

// Of dgrad: pixels phase, phase + stride, ... and the taps with phase + pad - dilation tap divisible
// by the stride, which follow each other at a fixed distance. None: taps is 0.
GRAFT_HD inline Side backward_side(int out_size, int stride, int pad, int dilation, int taps,
                                   int phase) {
  int distance = 1;
  while (dilation * distance % stride) ++distance;
  int first = 0;
  while (first < distance && (phase + pad - dilation * first) % stride) ++first;
  const bool any = first < distance && first < taps;
  return {.size = out_size,
          .scale = 1,
          .origin = any ? (phase + pad - dilation * first) / stride : 0,
          .step = -(dilation * distance / stride),
          .taps = any ? (taps - first + distance - 1) / distance : 0,
          .first_tap = first,
          .tap_step = distance};
}

// Pixels of a side that belong to a phase.
GRAFT_HD inline int phase_size(int size, int stride, int phase) {
  return phase < size ? (size - phase + stride - 1) / stride : 0;
}

}  // namespace graft::cuda
