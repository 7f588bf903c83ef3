// The products of the first layer: a tile of 8 x 16 outputs by 64 filters, from a patch and filters
// that are in shared memory in chunks of 16 bytes (conv2d_first.cuh).
//
//   TensorProducts  patch ──ldmatrix──► A (16 outputs, 2 chunks)  ┐
//                   filters ─ldmatrix─► B (16 filters, 2 chunks)  ┴─► sums (2, 16, 64) of a warp
//   FloatProducts   patch ──► 8 pixels (r g b 0)                  ┐
//                   filters ─► 8 taps (r g b 0), one by one       ┴─► sums (8, 8) of a thread
//
// In tf32 at stride 2 ldmatrix meets half of the banks twice: chunks of neighbouring outputs are 32
// bytes apart. Not yet run on a GPU.
#pragma once
#include "kernels/cuda/conv2d_first.cuh"
#include "kernels/cuda/gemm_mma.cuh"

namespace graft::cuda {

// The filters in shared memory: a product takes two chunks, so their count is made even; one chunk
// more, so that eight neighbouring filters lie in different banks.
GRAFT_HD inline int even_count(const TapChunks& chunks) { return (chunks.count + 1) / 2 * 2; }
GRAFT_HD inline int filter_stride(const TapChunks& chunks) {
  return (even_count(chunks) + 1) * chunks.chunk;
}

using FirstStaged = StagedTile<kTileRows * kTileColumns, kTileFilters>;

// On tensor cores: bf16, f16, or float for tf32. A warp has two rows of outputs.
template <class T>
struct TensorProducts {
  using Element = T;
  static constexpr int kRows = kTileRows / (kTileThreads / 32), kChunk = 16 / int(sizeof(T));
  using Sums = float[kRows][kTileFilters / 8][4];  // of a lane: 4 of each product of 16 x 8

  // filters (kTileFilters, filter_stride), patch (rows, columns, pixel)
  static __device__ void multiply(Sums& sums, const T* filters, const T* patch,
                                  const Conv2dProblem& p, const TapChunks& chunks) {
    const int stride = filter_stride(chunks);
    const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
    for (int pair = 0; pair < chunks.count; pair += 2) {
      const int chunk = pair + lane / 16;  // the one that this lane's address is of
      const int r = min(chunk / chunks.row, int(p.r) - 1);  // the chunk that makes them even: any
      const int right = (chunk - r * chunks.row) % chunks.row * kChunk;
      uint32_t a[kRows][4];
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const int row = (warp * kRows + i) * p.stride_h + r;
        const int column = lane % 16 * p.stride_w;
        ptx::ldmatrix(a[i], patch + (row * chunks.columns + column) * chunks.pixel + right);
        round_fragment<T>(a[i]);
      }
#pragma unroll
      for (int j = 0; j < kTileFilters / 16; ++j) {
        uint32_t b[4];
        ptx::ldmatrix(b, filters + (j * 16 + lane % 16) * stride + chunk * kChunk);
        round_fragment<T>(b);
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
          graft::cuda::multiply<T>(sums[i][2 * j], a[i], b[0], b[2]);
          graft::cuda::multiply<T>(sums[i][2 * j + 1], a[i], b[1], b[3]);
        }
      }
    }
  }

  static __device__ void stage(FirstStaged& staged, const Sums& sums) {
    const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int j = 0; j < kTileFilters / 8; ++j)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int row = (warp * kRows + i) * kTileColumns + lane / 4 + half * 8;
          float* at = staged.sums + row * FirstStaged::kStride + j * 8 + lane % 4 * 2;
          *reinterpret_cast<float2*>(at) =
              make_float2(sums[i][j][2 * half], sums[i][j][2 * half + 1]);
        }
  }
};

// In f32. A thread has every eighth filter, and every second output of a row: the four outputs that
// a warp reads at a time, and its eight filters, lie in different banks.
struct FloatProducts {
  using Element = float;
  static constexpr int kApart = 8, kFilters = kTileFilters / kApart, kOutputs = kTileColumns / 2;
  static_assert(kTileThreads == kTileRows * 2 * kApart);
  using Sums = float[kOutputs][kFilters];

  int row = int(threadIdx.x) / (2 * kApart), odd = int(threadIdx.x) / kApart % 2;
  int filter = int(threadIdx.x) % kApart;

  static __device__ void multiply(Sums& sums, const float* filters, const float* patch,
                                  const Conv2dProblem& p, const TapChunks& chunks) {
    const FloatProducts own;
    const int stride = filter_stride(chunks);
    for (int r = 0; r < p.r; ++r)
      for (int s = 0; s < p.s; ++s) {
        const int pixel = (own.row * p.stride_h + r) * chunks.columns + own.odd * p.stride_w + s;
        float4 x[kOutputs];
#pragma unroll
        for (int i = 0; i < kOutputs; ++i)
          x[i] = *reinterpret_cast<const float4*>(patch + (pixel + i * 2 * p.stride_w) * 4);
#pragma unroll
        for (int j = 0; j < kFilters; ++j) {
          const float4 w = *reinterpret_cast<const float4*>(
              filters + (own.filter + j * kApart) * stride + (r * chunks.row + s) * 4);
#pragma unroll
          for (int i = 0; i < kOutputs; ++i) {
            sums[i][j] += x[i].x * w.x;
            sums[i][j] += x[i].y * w.y;
            sums[i][j] += x[i].z * w.z;
          }
        }
      }
  }

  static __device__ void stage(FirstStaged& staged, const Sums& sums) {
    const FloatProducts own;
#pragma unroll
    for (int i = 0; i < kOutputs; ++i)
#pragma unroll
      for (int j = 0; j < kFilters; ++j)
        staged.sums[(own.row * kTileColumns + 2 * i + own.odd) * FirstStaged::kStride + own.filter +
                    j * kApart] = sums[i][j];
  }
};

}  // namespace graft::cuda
