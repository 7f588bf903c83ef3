// What the blocks of all attention kernels share: the rows that are a block's, where a head lies in
// memory, and what becomes of the products of queries and keys.
//
// A block owns 64 rows of one head of one image, 16 for each warp, and goes over the head's other
// rows in tiles of 32; what a warp sums up stays in registers.
//
//   qkv (images, tokens, 3, heads, width)   a head's queries, keys or values: (tokens, width), rows
//   y (images, tokens, heads, width)        row_of_qkv() or row_of_out() elements apart
//
// Not yet run on a GPU.
#pragma once
#include <limits>
#include <stdexcept>
#include <string>

#include "kernels/attention.h"
#include "kernels/cuda/attention_tile.cuh"
#include "kernels/cuda/softmax_row.cuh"

namespace graft::cuda {

constexpr int kAttentionThreads = 128;
constexpr int kAttentionBlocks = 2;  // at least, that a multiprocessor's registers are for
constexpr int kOwnRows = 16 * kAttentionThreads / 32;
constexpr int kOtherRows = 32;

// body(std::integral_constant<int, W>) with W, the width of a tile, at least that of a head.
template <class Body>
void with_head_width(int64_t width, const Body& body) {
  if (width <= 32)
    body(std::integral_constant<int, 32>{});
  else if (width <= 64)
    body(std::integral_constant<int, 64>{});
  else if (width <= 128)
    body(std::integral_constant<int, 128>{});
  else
    throw std::invalid_argument("attention: a head has " + std::to_string(width) +
                                " channels, CUDA kernels have up to 128");
}

GRAFT_HD inline int64_t tiles_of(int64_t rows, int tile) { return (rows + tile - 1) / tile; }
__device__ inline int own_row_of_warp() { return int(threadIdx.x) / 32 * 16; }  // in the tile

struct Head {  // one of one image
  const AttentionProblem& p;
  int64_t image, head;
  const float *bias, *mask;  // (tokens, tokens) or null

  __device__ Head(const AttentionProblem& p, int64_t image, int64_t head)
      : p(p), image(image), head(head), bias(p.bias), mask(p.mask) {
    if (bias) bias += head * p.tokens * p.tokens;
    if (mask) mask += image % p.masks * p.tokens * p.tokens;
  }
  // Tiles of a head are numbered before heads, and heads before images.
  static __device__ Head of_block(const AttentionProblem& p, int64_t tiles) {
    const int64_t head = blockIdx.x / tiles;
    return {p, head / p.heads, head % p.heads};
  }

  __device__ int tokens() const { return int(p.tokens); }
  __device__ int64_t row_of_qkv() const { return 3 * p.heads * p.width; }
  __device__ int64_t row_of_out() const { return p.heads * p.width; }
  __device__ int64_t qkv_at(int part) const {  // 0 queries, 1 keys, 2 values
    return image * p.tokens * row_of_qkv() + (part * p.heads + head) * p.width;
  }
  __device__ int64_t out_at() const { return image * p.tokens * row_of_out() + head * p.width; }
  template <class T>
  __device__ Operand part_of(const T* qkv, int part) const {
    return {qkv + qkv_at(part), row_of_qkv(), tokens(), int(p.width)};
  }
  template <class T>
  __device__ Operand out_of(const T* y) const {
    return {y + out_at(), row_of_out(), tokens(), int(p.width)};
  }

  // scale q k + bias + mask; minus infinity where there is no such query or key.
  __device__ float score(float product, int query, int key) const {
    if (query >= tokens() || key >= tokens()) return -std::numeric_limits<float>::infinity();
    const int at = query * tokens() + key;  // fits: a map of 2^31 scores does not exist
    return p.scale * product + (bias ? bias[at] : 0.0f) + (mask ? mask[at] : 0.0f);
  }
  // The same for a warp's products; `query` and `key` are the lane's first.
  template <int kN>
  __device__ void scores(float (&products)[kN][4], int query, int key) const {
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i)
        products[n][i] = score(products[n][i], query + i / 2 * 8, key + 8 * n + i % 2);
  }
};

// The softmax of a lane's two rows (8 apart), tile after tile (Milakov and Gimelshein, "Online
// normalizer calculation for softmax", 2018). Totals are of the lane's columns; sum_of_row() adds
// those of a row.
struct OnlineSoftmax {
  // The least float, not minus infinity, so that a difference is a number where all is masked yet.
  float top[2] = {std::numeric_limits<float>::lowest(), std::numeric_limits<float>::lowest()};
  float total[2] = {};

  // Scores become exponentials below the largest so far; earlier sums are to shrink by the result.
  template <int kN>
  __device__ float2 add(float (&scores)[kN][4]) {
    float shrink[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most = top[half];
#pragma unroll
      for (int n = 0; n < kN; ++n)
#pragma unroll
        for (int j = 0; j < 2; ++j) most = fmaxf(most, scores[n][2 * half + j]);
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
      most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
      shrink[half] = exp_below(top[half], most);
      top[half] = most, total[half] *= shrink[half];
#pragma unroll
      for (int n = 0; n < kN; ++n)
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          float& score = scores[n][2 * half + j];
          total[half] += score = exp_below(score, most);
        }
    }
    return make_float2(shrink[0], shrink[1]);
  }
};

// Of the four lanes that share a row.
__device__ inline float sum_of_row(float value) {
  value += __shfl_xor_sync(0xffffffffu, value, 1);
  return value + __shfl_xor_sync(0xffffffffu, value, 2);
}

// c (16, width) of a warp, factors of a lane's two rows -> to (rows, width), rows `stride` apart,
// from `row` on.
template <class T, int kN>
__device__ void store_rows(T* to, int64_t stride, int row, int rows, int width, bool vectors,
                           const float (&c)[kN][4], float2 factor) {
  const int lane = int(threadIdx.x) % 32;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int at = row + lane / 4 + 8 * half;
    if (at >= rows) continue;
    const float f = half ? factor.y : factor.x;
#pragma unroll
    for (int n = 0; n < kN; ++n) {
      const int column = 8 * n + lane % 4 * 2;
      const float v[2] = {f * c[n][2 * half], f * c[n][2 * half + 1]};
      T* p = to + at * stride + column;
      if (vectors && column < width) {
        store(p, v);
      } else {
        if (column < width) p[0] = from_float<T>(v[0]);
        if (column + 1 < width) p[1] = from_float<T>(v[1]);
      }
    }
  }
}

}  // namespace graft::cuda
