// Depthwise convolution: each channel has a filter of its own, so there is no sum over channels and
// nothing for a matrix product to do. Limited by memory: x, y and little else pass once; a
// neighbour's taps come from L1. Not yet run on a GPU.
//
// fprop and dgrad: a thread has one channel and one pixel of the result; a warp's 32 channels are
// neighbours in memory. The filters of the block's channels wait in shared memory, as (taps,
// channels), for in global memory a channel's taps are together. A block has a pixel for each row of
// its threads; several where there would be too many blocks, or where 8 bytes for each channel are
// to be noted of them.
// wgrad: a thread has one channel, one tap and a share of the pixels; the shares are added in a
// fixed order, first in the block, then by a second kernel.
#include <algorithm>

#include "kernels/cuda/conv2d_block.cuh"

namespace graft::cuda {
namespace {

constexpr int kChannels = 32, kPixels = 8;  // of a block: threads along each
constexpr int kThreads = kChannels * kPixels;
constexpr int kMostShares = 256;            // of wgrad

template <class T>
__device__ float value(const void* p, int64_t i) {
  return float(static_cast<const T*>(p)[i]);
}

// Result pixel p of channel c: the sum over taps of source (images, h, w, channels) x filter (taps,
// kChannels), which begins with the channel's first tap.
template <class T>
__device__ float depthwise_sum(const void* source, const Side& h, const Side& w, const Pixel& p,
                               int channels, int c, const float* filter, int filter_columns) {
  float sum = 0;
  for (int r = 0; r < h.taps; ++r) {
    const int row = h.start(p.row) + r * h.step;
    if (unsigned(row) >= unsigned(h.size)) continue;
    for (int s = 0; s < w.taps; ++s) {
      const int column = w.start(p.column) + s * w.step;
      if (unsigned(column) >= unsigned(w.size)) continue;
      const int tap = (h.first_tap + r * h.tap_step) * filter_columns + w.first_tap + s * w.tap_step;
      sum += value<T>(source, ((int64_t(p.image) * h.size + row) * w.size + column) * channels + c) *
             filter[tap * kChannels];
    }
  }
  return sum;
}

template <ConvPass kPass>
using DepthwiseNotes = ConvNotes<kPass, 1, kChannels, kPixels>;

template <ConvPass kPass>
union DepthwiseShared {
  float taps[1];  // and more: (r s, kChannels)
  typename DepthwiseNotes<kPass>::Parts parts;
};

// Blocks: x is `pixels` pixels of the result, y the channels.
// c.a (images, h, w, channels): x or dy; c.b (channels, taps): w -> c.out (pixels, channels)
template <ConvPass kPass, class T>
__global__ void __launch_bounds__(kThreads, 5) depthwise(const ConvWork c, int pixels) {
  GRAFT_SHARED(DepthwiseShared<kPass>, shared);
  const Conv2dProblem& p = c.problem;
  const int channels = int(p.c), taps = int(p.r * p.s);
  const int lane = int(threadIdx.x) % kChannels, first = int(threadIdx.x) / kChannels;
  const int base = int(blockIdx.y) * kChannels, channel = base + lane;
  for (int i = int(threadIdx.x); i < taps * kChannels; i += kThreads) {
    const int of = i / taps, tap = i % taps;
    shared.taps[tap * kChannels + of] =
        base + of < channels ? value<T>(c.b, int64_t(base + of) * taps + tap) : 0.0f;
  }
  __syncthreads();
  const int begin = int(blockIdx.x) * pixels, end = min(begin + pixels, c.grid.size());
  DepthwiseNotes<kPass> notes(c, channel, channels - channel);
  const bool noted = notes.wanted(c);
  for (int i = begin + first; channel < channels && i < end; i += kPixels) {
    const Pixel at = c.grid.at(i);
    Side h, w;
    Pixel start = at;
    if constexpr (kPass == ConvPass::fprop) {
      h = forward_side(int(p.h), p.stride_h, p.pad_top, p.dilation_h, int(p.r));
      w = forward_side(int(p.w), p.stride_w, p.pad_left, p.dilation_w, int(p.s));
    } else {
      h = backward_side(int(p.out_h()), p.stride_h, p.pad_top, p.dilation_h, int(p.r),
                        at.row % p.stride_h);
      w = backward_side(int(p.out_w()), p.stride_w, p.pad_left, p.dilation_w, int(p.s),
                        at.column % p.stride_w);
      start = {at.image, at.row / p.stride_h, at.column / p.stride_w};
    }
    float v = depthwise_sum<T>(c.a, h, w, start, channels, channel, shared.taps + lane, int(p.s));
    const int64_t out = int64_t(i) * channels + channel;
    if (c.scale) v *= c.scale[channel];
    if (c.bias) v += c.bias[channel];
    if (c.residual) v += load_as_float(c.residual, c.out_type, out);
    with_activation(c.activation, [&](auto op) { v = op.f(v); });
    store_as(c.out, c.out_type, out, v);
    float stored[1] = {v};
    if (noted) notes.add(c, out, 1, stored);
  }
  if (noted) notes.store(shared.parts, c, {int(blockIdx.x), base, channels - base});
}

// Blocks: x is the share of the pixels, y the channels, z the tap.
// c.a (pixels, channels): dy; c.b (images, h, w, channels): x -> c.partial (shares, channels, taps)
template <class T>
__global__ void __launch_bounds__(kThreads) depthwise_wgrad(const ConvWork c) {
  struct Sums {
    float of[kPixels][kChannels];  // of a thread each
  };
  GRAFT_SHARED(Sums, sums);
  const Conv2dProblem& p = c.problem;
  const int channels = int(p.c), taps = int(p.r * p.s), tap = int(blockIdx.z);
  const int lane = int(threadIdx.x) % kChannels, first = int(threadIdx.x) / kChannels;
  const int channel = int(blockIdx.y) * kChannels + lane;
  const Image x{c.b, 1, channels,
                forward_side(int(p.h), p.stride_h, p.pad_top, p.dilation_h, int(p.r)),
                forward_side(int(p.w), p.stride_w, p.pad_left, p.dilation_w, int(p.s))};
  const Depth at{tap / int(p.s), tap % int(p.s), channel};
  float sum = 0;
  for (int i = int(blockIdx.x) * kPixels + first; channel < channels && i < c.grid.size();
       i += int(gridDim.x) * kPixels) {
    const int64_t from = gathered(x, c.grid.at(i), at);
    if (from >= 0) sum += value<T>(c.b, from) * value<T>(c.a, int64_t(i) * channels + channel);
  }
  sums.of[first][lane] = sum;
  __syncthreads();
  if (first > 0 || channel >= channels) return;
  for (int i = 1; i < kPixels; ++i) sum += sums.of[i][lane];
  c.partial[(int64_t(blockIdx.x) * channels + channel) * taps + tap] = sum;
}

// partial (shares, elements) -> out (elements), in the order of the shares.
__global__ void __launch_bounds__(256)
    add_shares(const float* partial, int64_t elements, int shares, float* out) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= elements) return;
  float sum = 0;
  for (int share = 0; share < shares; ++share) sum += partial[share * elements + i];
  out[i] = sum;
}

int divide_up(int64_t a, int64_t b) { return int((a + b - 1) / b); }

unsigned channel_blocks(const Conv2dProblem& p) { return unsigned(divide_up(p.c, kChannels)); }
int rows_of_threads(const ConvWork& c) { return divide_up(c.grid.size(), kPixels); }

template <class T>
void launch_wgrad(ConvWork c, Stream stream) {
  const Conv2dProblem& p = c.problem;
  const int shares = std::clamp(rows_of_threads(c), 1, kMostShares);
  const int64_t elements = p.c * p.r * p.s;
  Scratch partial(size_t(shares) * size_t(elements) * sizeof(float), stream);
  c.partial = partial.data<float>();
  const dim3 grid(unsigned(shares), channel_blocks(p), unsigned(p.r * p.s));
  launch(depthwise_wgrad<T>, {grid, dim3(kThreads), kThreads * sizeof(float), stream}, c);
  launch(add_shares, {dim3(unsigned(divide_up(elements, 256))), dim3(256), 0, stream}, c.partial,
         elements, shares, static_cast<float*>(c.out));
}

template <ConvPass kPass, class T>
void launch_pixels(const ConvWork& c, Stream stream) {
  const int of_block = DepthwiseNotes<kPass>::wanted(c)
                           ? kDepthwiseNoteRows
                           : divide_up(rows_of_threads(c), 1 << 16) * kPixels;
  const dim3 grid(unsigned(divide_up(c.grid.size(), of_block)), channel_blocks(c.problem));
  const size_t filters = size_t(c.problem.r * c.problem.s) * kChannels * sizeof(float);
  launch(depthwise<kPass, T>,
         {grid, dim3(kThreads), std::max(filters, sizeof(DepthwiseShared<kPass>)), stream}, c,
         of_block);
}

template <class T>
void launch_type(ConvPass pass, const ConvWork& c, Stream stream) {
  switch (pass) {
    case ConvPass::fprop:
      return launch_pixels<ConvPass::fprop, T>(c, stream);
    case ConvPass::dgrad:
      return launch_pixels<ConvPass::dgrad, T>(c, stream);
    case ConvPass::wgrad:
      return launch_wgrad<T>(c, stream);
  }
}

}  // namespace

bool is_depthwise(const Conv2dProblem& p) {
  return p.groups == p.c && p.k == p.c && p.c > 1 && p.r * p.s <= 256;  // filters in 32 kB
}

void launch_depthwise(ConvPass pass, GemmMath math, const ConvWork& c, Stream stream) {
  switch (math) {
    case GemmMath::f32:
    case GemmMath::tf32:  // there is no tensor core in it
      return launch_type<float>(pass, c, stream);
    case GemmMath::bf16:
      return launch_type<__nv_bfloat16>(pass, c, stream);
    case GemmMath::f16:
      return launch_type<__half>(pass, c, stream);
  }
}

}  // namespace graft::cuda
