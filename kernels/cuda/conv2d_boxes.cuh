// Which boxes the copy engine brings in each step of depth of a convolution with wgmma. One thread asks
// for them, and has no more time than the products take: 512 clocks a step for 128 columns, 1024 for
// 256. So the host works out the problem (ConvPart), and what a step has in common with the one before
// is kept; what is left has no divisions:
//
//                  once for each tile              in each step
//   fprop, dgrad   the pixel where it begins       a TapWalk goes on by 64 channels: additions
//   wgrad          the tap of each 64 columns      64 pixels on: two multiplications (Divider)
//
//   TapWalk through 3 x 2 taps of 128 channels:
//     channel      0  64   0  64   0  64   0  64   0  64   0  64
//     down         0   0   0   0   1   1   1   1   2   2   2   2
//     right        0   0   1   1   0   0   1   1   0   0   1   1
//
// Instructions of that thread in a step, in SASS (sm_90a, CUDA 13.0); before: when the problem and each
// box were worked out anew, of dgrad and wgrad without the divisions that were called:
//
//                    128 x 256     128 x 128     in clusters
//                   now  before   now  before   now  before
//   fprop            52      88    52      88    70     122
//   dgrad            85     635    63     617    83     598
//   wgrad           104     426    74     267    98     286
//
// Not yet run on a GPU.
#pragma once
#include <type_traits>

#include "kernels/cuda/conv2d_block.cuh"
#include "kernels/cuda/gemm_block.cuh"
#include "kernels/cuda/tensor_map.h"

namespace graft::cuda {

struct TapPlace {  // 64 channels of a tap, or none: then `channel` is behind the last
  int channel = 0, down = 0, right = 0;
};

struct TapWalk {  // through a filter's taps, 64 channels of one at a time
  const Image& x;
  TapPlace at{};
  int number = 0, s = 0;  // of the tap, in the filter and in its row

  __device__ void go_to(int tap, int channel) {
    const bool over = tap >= x.h.taps * x.w.taps;
    const int r = over ? 0 : tap / x.w.taps;
    number = tap, s = over ? 0 : tap - r * x.w.taps;
    at = {over ? x.channels : channel, x.h.offset(r), x.w.offset(s)};
  }

  __device__ void next() {
    at.channel += kWgmmaDepth;
    if (at.channel < x.channels || ++number >= x.h.taps * x.w.taps) return;
    at.channel = 0, at.right += x.w.step;
    if (++s < x.w.taps) return;
    s = 0, at.right = x.w.offset(0), at.down += x.h.step;
  }
};

// Pixels from number `first` of the part's grid on, as the lowest tap meets them.
template <ConvPass kPass>
__device__ PixelBox pixels_from(const ConvPart<kPass>& part, int first) {
  const Pixel at = part.grid.at(first);
  return {.image = at.image,
          .row = part.x.h.scale * at.row + part.x.h.lowest(),
          .column = part.x.w.scale * at.column + part.x.w.lowest()};
}

__device__ inline PixelBox at_tap(PixelBox pixels, const TapPlace& at) {
  pixels.channel = at.channel, pixels.down = at.down, pixels.right = at.right;
  return pixels;
}

// fprop and dgrad: a step is 64 channels of a tap.
template <ConvPass kPass, class Stage>
struct StepsOfTaps {
  const ConvPart<kPass>& part;
  const TensorMap &a, &b;
  TapWalk taps{part.x};
  PixelBox pixels{};
  int n = 0;  // where the tile begins

  __device__ void begin(TileOrigin at, int step) {
    const int chunks = (part.x.channels + kWgmmaDepth - 1) / kWgmmaDepth, tap = step / chunks;
    taps.go_to(tap, (step - tap * chunks) * kWgmmaDepth);
    pixels = pixels_from(part, at.m);
    n = at.n;
  }

  __device__ void bring(Stage& stage, uint64_t* full) {
    stage.a.gather(a, [&](int) { return at_tap(pixels, taps.at); }, full);
    if constexpr (kPass == ConvPass::fprop)
      stage.b.load(b, n, taps.number * part.x.channels + taps.at.channel, full);
    else
      stage.b.load(b, taps.number * part.f.c + n, taps.at.channel, full);
    taps.next();
  }
};

// wgrad: a step is 64 pixels.
template <class Stage>
struct StepsOfPixels {
  using B = decltype(Stage::b);
  const ConvPart<ConvPass::wgrad>& part;
  const TensorMap &a, &b;
  TapPlace taps[B::kBoxes] = {};
  int m = 0, pixel = 0;  // where the tile begins, and the next step

  __device__ void begin(TileOrigin at, int step) {
    const int column = at.n + B::first_copied(), tap = column / part.x.channels;
    TapWalk walk{part.x};
    walk.go_to(tap, column - tap * part.x.channels);
#pragma unroll
    for (TapPlace& place : taps) place = walk.at, walk.next();
    m = at.m, pixel = step * kWgmmaDepth;
  }

  __device__ void bring(Stage& stage, uint64_t* full) {
    stage.a.load(a, m, pixel, full);
    const PixelBox pixels = pixels_from(part, pixel);
    stage.b.gather(b, [&](int box) { return at_tap(pixels, taps[box]); }, full);
    pixel += kWgmmaDepth;
  }
};

template <ConvPass kPass, class Stage>
using ConvBoxes =
    std::conditional_t<kPass == ConvPass::wgrad, StepsOfPixels<Stage>, StepsOfTaps<kPass, Stage>>;

}  // namespace graft::cuda
