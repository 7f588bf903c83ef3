// The products in the gradient of the first layer's filters: of a tile of 8 x 16 outputs, dy and the
// patch of pixels that they read, both in shared memory (conv2d_first.cuh).
//
//   TensorGradients  dy (128, 64) ──► A (64, 32 bytes of depth)    ┐
//                    patch ──► B (depth, 8 elements of a filter)   ┴─► sums (64, 7 x 8) of a warp
//   FloatGradients   dy ──► 8 filters of one output                ┐
//                    patch ──► its pixels (r g b 0) under 2 taps   ┴─► sums (2, 8, 3) of a thread
//
// Eight elements are one chunk of taps in bf16 and f16, where ldmatrix transposes the rows that
// outputs point at; two in tf32, whose lanes read one element each. Not yet run on a GPU.
#pragma once
#include "kernels/cuda/conv2d_first.cuh"
#include "kernels/cuda/gemm_mma.cuh"

namespace graft::cuda {

constexpr int kTileDepth = kTileRows * kTileColumns;
template <class T>
using Gradients = OperandTile<T, kTileFilters, kTileDepth, false>;  // (kTileDepth, kTileFilters)

// Where a block's sums go: of filters from m on, chunks from first to end.
struct GradientShare {
  const Conv2dProblem& p;
  const TapChunks& chunks;
  float* partial;  // (k, r, s, 3)
  int m, first, end;

  // The place of an element of a chunk in filter m; null where there is none.
  __device__ float* column(int chunk, int element) const {
    const int r = chunk / chunks.row, in_row = (chunk - r * chunks.row) * chunks.chunk + element;
    const int s = in_row / chunks.pixel, channel = in_row % chunks.pixel;
    const bool exists = chunk < end && s < p.s && channel < 3;
    return exists ? partial + (m * p.r * p.s + r * p.s + s) * 3 + channel : nullptr;
  }
  __device__ void store(float* column, int filter, float sum) const {
    if (m + filter < p.k) column[filter * p.r * p.s * 3] = sum;
  }
};

// Of a chunk in a patch, from the pixel that the first tap meets on, elements.
__device__ inline int place_of(const TapChunks& chunks, int chunk) {
  const int r = chunk / chunks.row;
  return r * chunks.columns * chunks.pixel + (chunk - r * chunks.row) * chunks.chunk;
}

// On tensor cores: bf16, f16, or float for tf32.
template <class T>
class TensorGradients {
 public:
  using Element = T;
  static constexpr int kWarps = kTileThreads / 32, kGroups = 7;  // of eight elements, of a warp
  static constexpr int kChunk = 16 / int(sizeof(T)), kChunksOfGroup = 8 / kChunk;
  static constexpr int kMostChunks = kWarps * kGroups * kChunksOfGroup;

  __device__ TensorGradients(const Conv2dProblem& p, const TapChunks& chunks, int first, int end)
      : p_(p), chunks_(chunks) {
#pragma unroll
    for (int j = 0; j < kGroups; ++j) {
      const int begin = first_of_group(first, j);
      const int element = sizeof(T) == 4 ? lane() / 4 : 0;
      const int chunk = min(begin + element / kChunk, end - 1);  // past the last: any
      at_[j] = begin < end ? place_of(chunks, chunk) + element % kChunk : -1;
    }
  }

  // sums += dy (kTileDepth, kTileFilters), transposed, times the warp's elements of patch (rows,
  // columns, pixel).
  __device__ void add(const Gradients<T>& dy, const T* patch) {
#pragma unroll 1
    for (int row = 0; row < kTileRows; row += sizeof(T) == 4 ? 1 : 2) {
      uint32_t a[2][kTileFilters / 16][4];
#pragma unroll
      for (int half = 0; half < 2; ++half)
#pragma unroll
        for (int i = 0; i < kTileFilters / 16; ++i) {
          dy.fragment(a[half][i], i * 16, (sizeof(T) == 4 ? 2 * row : row) + half);
          round_fragment<T>(a[half][i]);
        }
#pragma unroll
      for (int j = 0; j < kGroups; ++j) {
        if (at_[j] < 0) break;
        uint32_t b[4];
        load_elements(b, patch, row, at_[j]);
        round_fragment<T>(b);
#pragma unroll
        for (int i = 0; i < kTileFilters / 16; ++i) {
          multiply<T>(sums_[i][j], a[0][i], b[0], b[1]);
          multiply<T>(sums_[i][j], a[1][i], b[2], b[3]);
        }
      }
    }
  }

  __device__ void store(const GradientShare& to) const {
#pragma unroll
    for (int j = 0; j < kGroups; ++j)
#pragma unroll
      for (int next = 0; next < 2; ++next) {
        const int element = lane() % 4 * 2 + next;
        float* column = to.column(first_of_group(to.first, j) + element / kChunk, element % kChunk);
        if (!column) continue;
#pragma unroll
        for (int i = 0; i < kTileFilters / 8; ++i)
          to.store(column, i * 8 + lane() / 4, sums_[i / 2][j][i % 2 * 2 + next]);
      }
  }

 private:
  static __device__ int lane() { return int(threadIdx.x) % 32; }
  static __device__ int first_of_group(int first, int j) {
    return first + (j * kWarps + int(threadIdx.x) / 32) * kChunksOfGroup;
  }

  // B of a group for outputs from row `row` on: two products of 8 (tf32) or 16 deep.
  __device__ void load_elements(uint32_t (&b)[4], const T* patch, int row, int at) const {
    if constexpr (sizeof(T) == 2) {  // half of the lanes point at each of two rows of outputs
      const int down = (row + lane() / kTileColumns) * p_.stride_h;
      const int right = lane() % kTileColumns * p_.stride_w;
      ptx::ldmatrix_transposed(b, patch + (down * chunks_.columns + right) * chunks_.pixel + at);
    } else {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int right = (4 * i + lane() % 4) * p_.stride_w;
        const int pixel = row * p_.stride_h * chunks_.columns + right;
        b[i] = __float_as_uint(patch[pixel * chunks_.pixel + at]);
      }
    }
  }

  const Conv2dProblem& p_;
  const TapChunks& chunks_;
  int at_[kGroups];  // where a group is in a patch, see place_of; -1 past the last
  float sums_[kTileFilters / 16][kGroups][4] = {};  // of a lane: 4 of each product of 16 x 8
};

// In f32. A thread has two times four neighbouring filters, and every sixteenth tap.
class FloatGradients {
 public:
  using Element = float;
  static constexpr int kAcross = 8, kApart = kTileThreads / kAcross, kTaps = 2;
  static constexpr int kMostChunks = kTaps * kApart;
  static_assert(kTileFilters == 8 * kAcross);

  __device__ FloatGradients(const Conv2dProblem& p, const TapChunks& chunks, int first, int end)
      : p_(p), chunks_(chunks) {
#pragma unroll
    for (int j = 0; j < kTaps; ++j)
      at_[j] = place_of(chunks, min(first + tap() + j * kApart, end - 1));  // past the last: any
  }

  __device__ void add(const Gradients<float>& dy, const float* patch) {
    const int across = int(threadIdx.x) % kAcross;
#pragma unroll 2
    for (int output = 0; output < kTileDepth; ++output) {
      const int down = output / kTileColumns * p_.stride_h;
      const int pixel = down * chunks_.columns + output % kTileColumns * p_.stride_w;
      float d[8];
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float* from = dy.elements + dy.place(output, across + half * kAcross);
        const float4 four = *reinterpret_cast<const float4*>(from);
        d[4 * half] = four.x, d[4 * half + 1] = four.y;
        d[4 * half + 2] = four.z, d[4 * half + 3] = four.w;
      }
#pragma unroll
      for (int j = 0; j < kTaps; ++j) {
        const float4 x = *reinterpret_cast<const float4*>(patch + pixel * 4 + at_[j]);
#pragma unroll
        for (int i = 0; i < 8; ++i) {
          sums_[j][i][0] += d[i] * x.x;
          sums_[j][i][1] += d[i] * x.y;
          sums_[j][i][2] += d[i] * x.z;
        }
      }
    }
  }

  __device__ void store(const GradientShare& to) const {
#pragma unroll
    for (int j = 0; j < kTaps; ++j)
#pragma unroll
      for (int channel = 0; channel < 3; ++channel) {
        float* column = to.column(to.first + tap() + j * kApart, channel);
        if (!column) continue;
#pragma unroll
        for (int i = 0; i < 8; ++i) {
          const int fours = int(threadIdx.x) % kAcross + i / 4 * kAcross;
          to.store(column, fours * 4 + i % 4, sums_[j][i][channel]);
        }
      }
  }

 private:
  static __device__ int tap() { return int(threadIdx.x) / kAcross; }

  const Conv2dProblem& p_;
  const TapChunks& chunks_;
  int at_[kTaps];  // where a tap is in a patch, see place_of
  float sums_[kTaps][8][3] = {};
};

}  // namespace graft::cuda
