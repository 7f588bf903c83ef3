// How the gathered matrices of conv2d_geometry.h come into shared memory: as whole 16-byte chunks
// of neighbouring channels, or, where channels do not come in such chunks, element by element.
//
// A thread's rows of a tile and its chunk of a row stay the same in every step of depth. Where a
// row is an outer index (PixelRows) divisions are done before the loop, and a step costs an
// addition for the tap and a comparison with the image's border for each copy. Where a row is an
// index of depth (TapColumns, FilterRows) each copy asks anew where its pixel or tap is, by
// multiplications (Divider). A tap outside brings zeros.
//
//   PixelRows  (kOuter,kDepth)      TapColumns, FilterRows  (kDepth,kOuter)       operand_tile.cuh
//
// Not yet run on a GPU.
#pragma once
#include "kernels/cuda/conv2d_geometry.h"
#include "kernels/cuda/operand_tile.cuh"

namespace graft::cuda {

struct Image {      // of one group: (images, h, w, stride), of which `channels` belong to the group
  const void* data;  // (images, h.size, w.size, stride), from the group's first channel on
  int channels, stride;
  Side h, w;
};

struct Filter {      // of one group
  const void* data;  // (k, r, s, c)
  int k, r, s, c;
};

// ---- element by element -------------------------------------------------------------------------

struct Depth {  // a tap and its channel: an index of depth, in wgrad of outer
  int r, s, channel;
};

__device__ inline Depth tap_of(int i, const Side& w, const Divider& by_channels) {
  const int tap = by_channels.divide(i);
  const int r = w.taps ? tap / w.taps : 0;
  return {r, tap - r * w.taps, i - tap * int(by_channels.divisor)};
}

// Element offset of a pixel's tap; -1 outside the image.
__device__ inline int64_t gathered(const Image& x, const Pixel& p, const Depth& at) {
  const int row = x.h.start(p.row) + at.r * x.h.step, column = x.w.start(p.column) + at.s * x.w.step;
  const bool inside = unsigned(row) < unsigned(x.h.size) && unsigned(column) < unsigned(x.w.size);
  if (!inside) return -1;
  return ((int64_t(p.image) * x.h.size + row) * x.w.size + column) * x.stride + at.channel;
}

__device__ inline int64_t filtered(const Filter& f, const Image& x, const Depth& at, int c) {
  const int r = x.h.first_tap + at.r * x.h.tap_step, s = x.w.first_tap + at.s * x.w.tap_step;
  return ((int64_t(at.channel) * f.r + r) * f.s + s) * f.c + c;
}

// ---- chunks of channels -------------------------------------------------------------------------

// A of fprop and dgrad: outer is pixels, depth is taps x channels. Tile: depth-contiguous.
template <class T, int kOuter, int kDepth, int kThreads>
struct PixelRows {
  using Tile = OperandTile<T, kOuter, kDepth, true>;
  static constexpr int kRowsAtOnce = kThreads / Tile::kChunks, kCount = kOuter / kRowsAtOnce;
  static constexpr int kChannelStep = kDepth;  // of the thread's chunks, from step to step
  static_assert(kRowsAtOnce * kCount == kOuter);

  const Image& x;
  int chunk, first;           // of this thread: its chunk of a row, its first row
  int channel, r, s;          // where the chunk is in depth
  int offset[kCount];         // of (row, column) below in the image, elements
  int row[kCount], column[kCount];  // that tap 0 meets

  __device__ PixelRows(const Image& x, const PixelGrid& grid, int outer, int depth)
      : x(x), chunk(int(threadIdx.x) % Tile::kChunks), first(int(threadIdx.x) / Tile::kChunks) {
    const int at = depth + chunk * Tile::kPerChunk, tap = at / x.channels;
    channel = at % x.channels;
    r = x.w.taps ? tap / x.w.taps : 0;
    s = tap - r * x.w.taps;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int m = outer + first + i * kRowsAtOnce;
      const Pixel p = grid.at(min(m, grid.size() - 1));
      column[i] = x.w.start(p.column);
      row[i] = m < grid.size() ? x.h.start(p.row) : kNowhere;
      offset[i] = ((p.image * x.h.size + x.h.start(p.row)) * x.w.size + column[i]) * x.stride;
    }
  }

  __device__ int first_channel() const { return channel; }
  __device__ int place(int i) const { return Tile::place(first + i * kRowsAtOnce, chunk); }

  // Starts the copies of the present step of depth and goes on to the next. -> which of the thread's
  // chunks are inside the image, a bit each.
  __device__ uint32_t load(Tile& tile) {
    uint32_t found = 0;
    const int down = r * x.h.step, right = s * x.w.step;
    const int further = (down * x.w.size + right) * x.stride + channel;
    const T* data = static_cast<const T*>(x.data);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const bool inside = r < x.h.taps && unsigned(row[i] + down) < unsigned(x.h.size) &&
                          unsigned(column[i] + right) < unsigned(x.w.size);
      ptx::copy_async<16>(tile.elements + place(i), inside ? data + (offset[i] + further) : data,
                          inside ? 16 : 0);
      found |= uint32_t(inside) << i;
    }
    for (channel += kDepth; channel >= x.channels; channel -= x.channels)
      if (++s >= x.w.taps) s = 0, ++r;
    return found;
  }

 private:
  static constexpr int kNowhere = -(1 << 29);  // outside, whatever the tap
};

// B of wgrad: outer is taps x channels, depth is pixels. Tile: outer-contiguous.
template <class T, int kOuter, int kDepth, int kThreads>
struct TapColumns {
  using Tile = OperandTile<T, kOuter, kDepth, false>;
  static constexpr int kRowsAtOnce = kThreads / Tile::kChunks, kCount = kDepth / kRowsAtOnce;
  static constexpr int kChannelStep = 0;
  static_assert(kRowsAtOnce * kCount == kDepth);

  const Image& x;
  const PixelGrid& grid;
  int chunk, first;  // of this thread: its chunk of a row, its first row
  Depth at;          // of the chunk
  int pixel;         // of the tile's first row

  __device__ TapColumns(const Image& x, const PixelGrid& grid, int outer, int depth)
      : x(x), grid(grid), chunk(int(threadIdx.x) % Tile::kChunks),
        first(int(threadIdx.x) / Tile::kChunks), pixel(depth) {
    const int o = outer + chunk * Tile::kPerChunk, tap = o / x.channels;
    at = {tap / x.w.taps, tap % x.w.taps, o % x.channels};
  }

  __device__ int first_channel() const { return at.channel; }
  __device__ int place(int i) const { return Tile::place(first + i * kRowsAtOnce, chunk); }

  __device__ uint32_t load(Tile& tile) {
    uint32_t found = 0;
    const T* data = static_cast<const T*>(x.data);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int p = pixel + first + i * kRowsAtOnce;
      const int64_t offset =
          p < grid.size() && at.r < x.h.taps ? gathered(x, grid.at(p), at) : -1;
      ptx::copy_async<16>(tile.elements + place(i), offset < 0 ? data : data + offset,
                          offset < 0 ? 0 : 16);
      found |= uint32_t(offset >= 0) << i;
    }
    pixel += kDepth;
    return found;
  }
};

// B of dgrad: outer is C, depth is taps x K, the filter's rows apart from each other. Tile:
// outer-contiguous.
template <class T, int kOuter, int kDepth, int kThreads>
struct FilterRows {
  using Tile = OperandTile<T, kOuter, kDepth, false>;
  static constexpr int kRowsAtOnce = kThreads / Tile::kChunks;

  const Filter& f;
  const Image& x;
  const Divider& by_k;
  int chunk, first, c, depth;  // as above; the chunk's first channel, the tile's first row

  __device__ FilterRows(const Filter& f, const Image& x, const Divider& by_k, int outer, int depth)
      : f(f), x(x), by_k(by_k), chunk(int(threadIdx.x) % Tile::kChunks),
        first(int(threadIdx.x) / Tile::kChunks), c(outer + chunk * Tile::kPerChunk), depth(depth) {}

  __device__ void load(Tile& tile) {
    const T* data = static_cast<const T*>(f.data);
#pragma unroll
    for (int row = first; row < kDepth; row += kRowsAtOnce) {
      const int i = depth + row;
      const bool inside = c < f.c && i < x.h.taps * x.w.taps * f.k;
      const T* source = inside ? data + filtered(f, x, tap_of(i, x.w, by_k), c) : data;
      ptx::copy_async<16>(tile.elements + Tile::place(row, chunk), source, inside ? 16 : 0);
    }
    depth += kDepth;
  }
};

}  // namespace graft::cuda
