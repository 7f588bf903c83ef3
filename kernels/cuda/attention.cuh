// Attention without its matrix of tokens x tokens (FlashAttention-2: Dao, 2023). Not yet run on a
// GPU.
//
// A block has 64 queries of a head; keys and values pass by in tiles of 32, in a ring (ring.cuh). A
// warp has 16 of the queries:
//
//   scores (16,32) = scale q k^T + bias + mask       attention_tile.cuh, attention_block.cuh
//   shares         = e^(scores - top), where top is a row's largest score so far
//   y (16,width)   = y e^(old top - top) + shares v, in the end divided by the row's sum of shares
//
// Scores and shares stay in registers. Bytes moved: queries, y once; keys, values once for every 64
// queries, mostly from the L2 cache; bias and mask likewise.
#pragma once
#include "kernels/attention.h"
#include "kernels/cuda/attention_block.cuh"
#include "kernels/cuda/ring.cuh"

namespace graft::cuda {

template <class T, int kWidth>
struct ForwardShared {
  HeadTile<T, kOwnRows, kWidth> queries;  // (64, kWidth)
  struct Stage {
    HeadTile<T, kOtherRows, kWidth> keys, values;  // (32, kWidth)
  } stages[2];
};

// qkv (images, tokens, 3, heads, width) -> y (images, tokens, heads, width).
// blockIdx.x counts tiles of 64 queries, then heads, then images.
template <class T, int kWidth>
__global__ void __launch_bounds__(kAttentionThreads, kAttentionBlocks)
    attend(const AttentionProblem p, bool vectors, const T* qkv, T* y) {
  using Shared = ForwardShared<T, kWidth>;
  using Stage = typename Shared::Stage;
  GRAFT_SHARED(Shared, shared);
  const int64_t tiles = tiles_of(p.tokens, kOwnRows);
  const Head head = Head::of_block(p, tiles);
  const int first = int(blockIdx.x % tiles) * kOwnRows, warp = own_row_of_warp();
  const int lane = int(threadIdx.x) % 32, query = first + warp + lane / 4;
  shared.queries.template load<kAttentionThreads>(head.part_of(qkv, 0), first, vectors);

  float sums[kWidth / 8][4] = {};  // of a lane: 4 of each 16 x 8 of the warp's (16, kWidth)
  OnlineSoftmax softmax;
  int key = lane % 4 * 2;  // the lane's first of the next tile
  run_ring(
      shared.stages, int(tiles_of(p.tokens, kOtherRows)),
      [&](Stage& stage, int step) {
        const int row = step * kOtherRows;
        stage.keys.template load<kAttentionThreads>(head.part_of(qkv, 1), row, vectors);
        stage.values.template load<kAttentionThreads>(head.part_of(qkv, 2), row, vectors);
      },
      [&](const Stage& stage) {
        if (first + warp >= head.tokens()) return;
        float shares[kOtherRows / 8][4] = {};
        multiply_rows(shares, shared.queries, warp, stage.keys);
        head.scores(shares, query, key);
        const float2 shrink = softmax.add(shares);
#pragma unroll
        for (int w = 0; w < kWidth / 8; ++w) {
          sums[w][0] *= shrink.x, sums[w][1] *= shrink.x;
          sums[w][2] *= shrink.y, sums[w][3] *= shrink.y;
        }
        multiply_columns(sums, shares, stage.values);
        key += kOtherRows;
      });
  const float2 factor =
      make_float2(1.0f / sum_of_row(softmax.total[0]), 1.0f / sum_of_row(softmax.total[1]));
  store_rows(y + head.out_at(), head.row_of_out(), first + warp, head.tokens(), int(p.width),
             vectors, sums, factor);
}

template <class T>
void attention(const AttentionProblem& p, const T* qkv, T* y, Stream stream) {
  const int64_t blocks = p.images * p.heads * tiles_of(p.tokens, kOwnRows);
  if (blocks <= 0 || p.width <= 0) return;
  const bool vectors = aligned({qkv, y}) && p.width % kPack<T> == 0;
  with_head_width(p.width, [&](auto width) {
    launch(
        attend<T, width>,
        {dim3(unsigned(blocks)), dim3(kAttentionThreads), sizeof(ForwardShared<T, width>), stream},
        p, vectors, qkv, y);
  });
}

}  // namespace graft::cuda
