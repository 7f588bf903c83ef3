// Rows of one head in shared memory, and a warp's products with them: 16 rows of one tile with all
// rows of another, on tensor cores for bf16 and f16, in plain f32 for f32.
//
// Both ways leave an element of the product in the same lane and register, so that what is done to
// scores is written once. Of 16 rows by 8 n columns, with g = lane / 4 and t = lane % 4:
//
//   c[n][0], c[n][1]   row g, columns 8 n + 2 t and the next
//   c[n][2], c[n][3]   row g + 8, the same columns
//
// Not yet run on a GPU.
#pragma once
#include "kernels/cuda/operand_tile.cuh"
#include "kernels/cuda/pack.cuh"

namespace graft::cuda {

template <class T>
using TileElement = std::conditional_t<std::is_same_v<T, bf16>, __nv_bfloat16,
                                       std::conditional_t<std::is_same_v<T, f16>, __half, float>>;

// (rows, width), zero where the operand has ended. Either dimension can be a product's depth.
template <class T, int kRows, int kWidth>
union HeadTile {
  using Element = TileElement<T>;
  OperandTile<Element, kRows, kWidth, true> over_width;  // depth: the width
  OperandTile<Element, kWidth, kRows, false> over_rows;  // the same places, for 16-bit elements

  // Starts the copy of the rows from `first` on; `vectors`: their chunks are 16-byte aligned.
  template <int kThreads>
  __device__ void load(const Operand& rows, int first, bool vectors) {
    if (vectors)
      over_width.template load<kThreads>(rows, first, 0);
    else
      over_width.template load_narrow<kThreads>(rows, false, first, 0);
  }

  __device__ const float* at(int row, int column) const {  // of f32; column even
    return over_width.elements + over_width.place(row, column / 4) + column % 4;
  }
};

__device__ inline float inner(float4 a, float4 b, float sum) {
  return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

// c (16, rows of b) += a[row, row + 16) b^T; depth: the width.
template <class T, int kRowsA, int kRowsB, int kWidth>
__device__ void multiply_rows(float (&c)[kRowsB / 8][4], const HeadTile<T, kRowsA, kWidth>& a,
                              int row, const HeadTile<T, kRowsB, kWidth>& b) {
  if constexpr (std::is_same_v<T, float>) {
    const int lane = int(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
#pragma unroll 1
    for (int i = 0; i < kWidth; i += 4) {
      const float4 upper = *reinterpret_cast<const float4*>(a.at(row + g, i));
      const float4 lower = *reinterpret_cast<const float4*>(a.at(row + g + 8, i));
#pragma unroll
      for (int n = 0; n < kRowsB / 8; ++n)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          const float4 other = *reinterpret_cast<const float4*>(b.at(8 * n + 2 * t + j, i));
          c[n][j] = inner(upper, other, c[n][j]);
          c[n][2 + j] = inner(lower, other, c[n][2 + j]);
        }
    }
  } else {
#pragma unroll
    for (int block = 0; block < kWidth / 16; ++block) {
      uint32_t left[4], right[4];
      a.over_width.fragment(left, row, block);
#pragma unroll
      for (int n = 0; n < kRowsB / 8; n += 2) {
        b.over_width.fragment(right, 8 * n, block);
        ptx::mma_m16n8k16<TileElement<T>>(c[n], left, right[0], right[2]);
        ptx::mma_m16n8k16<TileElement<T>>(c[n + 1], left, right[1], right[3]);
      }
    }
  }
}

// Two elements as the tensor core takes them.
template <class T>
__device__ uint32_t pair(float low, float high) {
  return bits_of(from_float<T>(low)) | bits_of(from_float<T>(high)) << 16;
}

// c (16, width) += a (16, rows of b) b; depth: the rows. a lies in registers, as a product left it,
// which is also how the tensor core takes its left operand; it is rounded to T.
template <class T, int kRows, int kWidth>
__device__ void multiply_columns(float (&c)[kWidth / 8][4], const float (&a)[kRows / 8][4],
                                 const HeadTile<T, kRows, kWidth>& b) {
  if constexpr (std::is_same_v<T, float>) {
    const int lane = int(threadIdx.x) % 32, t = lane % 4;
#pragma unroll
    for (int n = 0; n < kRows / 8; ++n)
#pragma unroll 1
      for (int owner = 0; owner < 4; ++owner) {  // of columns 8 n + 2 owner and the next of a
        float v[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) v[i] = __shfl_sync(0xffffffffu, a[n][i], owner, 4);
#pragma unroll
        for (int w = 0; w < kWidth / 8; ++w)
#pragma unroll
          for (int j = 0; j < 2; ++j) {
            const float2 two =
                *reinterpret_cast<const float2*>(b.at(8 * n + 2 * owner + j, 8 * w + 2 * t));
            c[w][0] += v[j] * two.x, c[w][1] += v[j] * two.y;
            c[w][2] += v[2 + j] * two.x, c[w][3] += v[2 + j] * two.y;
          }
      }
  } else {
#pragma unroll
    for (int block = 0; block < kRows / 16; ++block) {
      const float(&x)[4] = a[2 * block], (&y)[4] = a[2 * block + 1];
      const uint32_t left[4] = {pair<T>(x[0], x[1]), pair<T>(x[2], x[3]), pair<T>(y[0], y[1]),
                                pair<T>(y[2], y[3])};
#pragma unroll
      for (int w = 0; w < kWidth / 8; w += 2) {
        uint32_t right[4];
        b.over_rows.fragment(right, 8 * w, block);
        ptx::mma_m16n8k16<TileElement<T>>(c[w], left, right[0], right[2]);
        ptx::mma_m16n8k16<TileElement<T>>(c[w + 1], left, right[1], right[3]);
      }
    }
  }
}

}  // namespace graft::cuda
