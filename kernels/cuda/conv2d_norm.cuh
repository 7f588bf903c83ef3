// Convolution of what a batch norm makes of x, which is never in global memory: the chunks of x that
// a thread has copied into shared memory it normalises there, after its wait and before the barrier
// that shows them to the others. So copies still run ahead of the products.
//
//   x ──copy_async──► shared ──► 4 elements in registers: (x - mean) scale + shift, activation
//                     shared ◄── rounded ──┘             ──► barrier ──► the products
//
// Chunks outside of the image stay zero: padding comes after the norm. A step costs one more reading
// and writing of its tile in shared memory, and arithmetic that is done again for every tap and every
// tile of the result that a pixel takes part in. Saved are the 2 S of making the normalised tensor of
// S bytes, and S of memory until the backward pass. Not yet run on a GPU.
#pragma once
#include "kernels/cuda/conv2d_launch.h"
#include "kernels/cuda/conv2d_operands.cuh"
#include "kernels/cuda/gemm_block.cuh"
#include "kernels/cuda/norm_columns.cuh"

namespace graft::cuda {

// A loader that normalises. `Loader` is PixelRows or TapColumns, which tell which chunks are inside.
template <class T, class Loader, int kStages>
struct ChunkNorm {
  using Tile = typename Loader::Tile;
  static constexpr int kCount = Loader::kCount;
  static constexpr DType kType = std::is_same_v<T, __half> ? DType::f16 : DType::bf16;
  static_assert(kCount * kStages <= 32, "a bit for each of a thread's chunks in the ring");

  const InputNorm& norm;  // tables (C) of all groups
  Loader from;
  int group;            // its first channel
  int channel;          // of the group, that the thread's chunk of the next step begins with
  uint32_t inside = 0;  // chunks in the ring

  __device__ ChunkNorm(const InputNorm& norm, const Loader& from, int group)
      : norm(norm), from(from), group(group), channel(from.first_channel()) {}

  __device__ void load(Tile& tile, int step) {
    const int place = step % kStages * kCount;
    inside &= ~(((1u << kCount) - 1) << place);
    inside |= from.load(tile) << place;
  }

  // Every other eight threads begin with the second half of their chunks: 16 threads that access 8
  // bytes each then meet every bank once.
  __device__ void normalize(Tile& tile, int step) {
    const uint32_t here = inside >> (step % kStages * kCount);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int four = 4 * (half ^ (int(threadIdx.x) / 8 % 2));
      const NormChannels<4> channels(norm.of, group + channel + four);
#pragma unroll
      for (int i = 0; i < kCount; ++i)
        if (here >> i & 1) normalize_four(tile.elements + from.place(i) + four, channels);
    }
    channel += Loader::kChannelStep;
    while (channel >= from.x.channels) channel -= from.x.channels;
  }

 private:
  __device__ void normalize_four(T* elements, const NormChannels<4>& channels) const {
    float v[4];
    load_four(v, elements, kType, 0);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float z = channels.normalized(j, v[j]);
      v[j] = z < norm.low ? norm.low : z;  // NaN stays NaN
    }
    if (norm.high < kNoLimit) {
#pragma unroll
      for (int j = 0; j < 4; ++j) v[j] = v[j] > norm.high ? norm.high : v[j];
    }
    store_four(elements, kType, 0, v);
  }
};

// What a block does with any loader before a step's products.
template <class Loader>
__device__ void start_copies(Loader& from, typename Loader::Tile& tile, int) {
  from.load(tile);
}
template <class Loader>
__device__ void finish_copies(Loader&, typename Loader::Tile&, int) {}

template <class T, class Loader, int kStages>
__device__ void start_copies(ChunkNorm<T, Loader, kStages>& from, typename Loader::Tile& tile,
                             int step) {
  from.load(tile, step);
}
template <class T, class Loader, int kStages>
__device__ void finish_copies(ChunkNorm<T, Loader, kStages>& from, typename Loader::Tile& tile,
                              int step) {
  if (from.norm.of.mean) from.normalize(tile, step);
}

}  // namespace graft::cuda
