// Gradients of attention. With scores S and shares P = softmax(S), of query i and key j:
//
//   dP_ij = dy_i v_j      dS_ij = P_ij (dP_ij - inner_i)      inner_i = sum_j P_ij dP_ij
//   dq_i = scale sum_j dS_ij k_j      dk_j = scale sum_i dS_ij q_i      dv_j = sum_i P_ij dy_i
//   dbias = sum of dS over images
//
// Five launches, in which S and dP are computed again: of what a query keeps of its row, of dq, dk
// and dv, each the forward's walk over tiles (attention.cuh), and of dbias, a walk over images. So
// every sum belongs to one block (those of dbias to one for each part of the images) and has a
// fixed order, and few registers; 12 products of tokens x tokens x width where atomic sums would do
// with 5. Not yet run on a GPU.
#pragma once
#include <algorithm>

#include "kernels/attention.h"
#include "kernels/cuda/attention_block.cuh"
#include "kernels/cuda/ring.cuh"
#include "kernels/reduce.h"

namespace graft::cuda {

struct QueryRow {  // P = e^(S - top) factor
  float top, factor, inner;
};

template <class T>
struct Backward {
  AttentionProblem p;
  bool vectors;
  const T* qkv;    // (images, tokens, 3, heads, width)
  const T* dy;     // (images, tokens, heads, width)
  QueryRow* rows;  // (images, heads, tokens)

  __device__ int64_t tiles() const { return tiles_of(p.tokens, kOwnRows); }
  __device__ int first_own_row() const { return int(blockIdx.x % tiles()) * kOwnRows; }
  __device__ int steps() const { return int(tiles_of(p.tokens, kOtherRows)); }
  __device__ QueryRow* rows_of(const Head& h) const {
    return rows + (h.image * p.heads + h.head) * p.tokens;
  }
};

// Queries with the gradients of their results, or keys with their values: products of one kind's
// rows with the other's are scores, or gradients of shares.
template <class T, int kRows, int kWidth>
struct Tiles {
  HeadTile<T, kRows, kWidth> scores, shares;  // (kRows, kWidth): q and dy, or k and v

  template <bool kQueries>
  __device__ void load(const Backward<T>& b, const Head& h, int first) {
    const Operand with = kQueries ? h.out_of(b.dy) : h.part_of(b.qkv, 2);
    scores.template load<kAttentionThreads>(h.part_of(b.qkv, kQueries ? 0 : 1), first, b.vectors);
    shares.template load<kAttentionThreads>(with, first, b.vectors);
  }
};

template <class T, int kWidth>
struct BackwardShared {
  Tiles<T, kOwnRows, kWidth> own;         // 64 rows
  Tiles<T, kOtherRows, kWidth> other[2];  // 32 rows, a ring
};

using Square = float[kOtherRows / 8][4];  // of a lane: 4 of each 16 x 8 of its warp's (16, 32)

template <class T, int kWidth>
__device__ void multiply_tiles(Square& s, Square& dp, const Tiles<T, kOwnRows, kWidth>& own,
                               const Tiles<T, kOtherRows, kWidth>& other) {
  multiply_rows(s, own.scores, own_row_of_warp(), other.scores);
  multiply_rows(dp, own.shares, own_row_of_warp(), other.shares);
}

// Products q k become P, products dy v become dS. Own rows are queries, other rows keys, or
// the other way round; `own` and `other` are the lane's first. rows (tokens) are the head's.
template <bool kOwnQueries>
__device__ void differentiate(Square& s, Square& dp, const Head& h, const QueryRow* rows, int own,
                              int other) {
  auto row_of = [&](int query) {
    return query < h.tokens() ? rows[query] : QueryRow{0.0f, 0.0f, 0.0f};
  };
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    QueryRow row{};
    if constexpr (kOwnQueries) row = row_of(own + 8 * half);
#pragma unroll
    for (int n = 0; n < kOtherRows / 8; ++n)
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int mine = own + 8 * half, others = other + 8 * n + j;
        const int query = kOwnQueries ? mine : others, key = kOwnQueries ? others : mine;
        if constexpr (!kOwnQueries) row = row_of(query);
        float &share = s[n][2 * half + j], &gradient = dp[n][2 * half + j];
        share = exp_below(h.score(share, query, key), row.top) * row.factor;
        gradient = share * (gradient - row.inner);
      }
  }
}

// What a query keeps of its row of scores -> b.rows (images, heads, tokens)
template <class T, int kWidth>
__global__ void __launch_bounds__(kAttentionThreads, kAttentionBlocks)
    query_rows(const Backward<T> b) {
  using Shared = BackwardShared<T, kWidth>;
  using Other = Tiles<T, kOtherRows, kWidth>;
  GRAFT_SHARED(Shared, shared);
  const Head head = Head::of_block(b.p, b.tiles());
  const int lane = int(threadIdx.x) % 32, first = b.first_own_row() + own_row_of_warp();
  const int query = first + lane / 4;
  shared.own.template load<true>(b, head, b.first_own_row());
  OnlineSoftmax softmax;
  float inner[2] = {};
  int key = lane % 4 * 2;
  run_ring(
      shared.other, b.steps(),
      [&](Other& keys, int step) { keys.template load<false>(b, head, step * kOtherRows); },
      [&](const Other& keys) {
        if (first >= head.tokens()) return;
        Square s = {}, dp = {};
        multiply_tiles(s, dp, shared.own, keys);
        head.scores(s, query, key);
        const float2 shrink = softmax.add(s);
        inner[0] *= shrink.x, inner[1] *= shrink.y;
#pragma unroll
        for (int n = 0; n < kOtherRows / 8; ++n)
#pragma unroll
          for (int i = 0; i < 4; ++i) inner[i / 2] += s[n][i] * dp[n][i];
        key += kOtherRows;
      });
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float factor = 1.0f / sum_of_row(softmax.total[half]);
    const float sum = sum_of_row(inner[half]) * factor;
    const int at = query + 8 * half;
    if (lane % 4 == 0 && at < head.tokens())
      b.rows_of(head)[at] = QueryRow{softmax.top[half], factor, sum};
  }
}

// dq, from a block's own queries and all keys; or dk, the other way round.
// -> a third of dqkv (images, tokens, 3, heads, width)
template <class T, int kWidth, bool kOwnQueries>
__global__ void __launch_bounds__(kAttentionThreads, kAttentionBlocks)
    score_gradients(const Backward<T> b, T* dqkv) {
  using Shared = BackwardShared<T, kWidth>;
  using Other = Tiles<T, kOtherRows, kWidth>;
  GRAFT_SHARED(Shared, shared);
  const Head head = Head::of_block(b.p, b.tiles());
  const int lane = int(threadIdx.x) % 32, first = b.first_own_row() + own_row_of_warp();
  shared.own.template load<kOwnQueries>(b, head, b.first_own_row());
  float sums[kWidth / 8][4] = {};  // of a lane, of its warp's (16, kWidth)
  int other = lane % 4 * 2;
  run_ring(
      shared.other, b.steps(),
      [&](Other& tiles, int step) {
        tiles.template load<!kOwnQueries>(b, head, step * kOtherRows);
      },
      [&](const Other& tiles) {
        if (first >= head.tokens()) return;
        Square s = {}, ds = {};
        multiply_tiles(s, ds, shared.own, tiles);
        differentiate<kOwnQueries>(s, ds, head, b.rows_of(head), first + lane / 4, other);
        multiply_columns(sums, ds, tiles.scores);
        other += kOtherRows;
      });
  store_rows(dqkv + head.qkv_at(kOwnQueries ? 0 : 1), head.row_of_qkv(), first, head.tokens(),
             int(b.p.width), b.vectors, sums, make_float2(b.p.scale, b.p.scale));
}

// dv, from a block's own keys and all queries -> the last third of dqkv, likewise
template <class T, int kWidth>
__global__ void __launch_bounds__(kAttentionThreads, kAttentionBlocks)
    value_gradients(const Backward<T> b, T* dqkv) {
  using Shared = BackwardShared<T, kWidth>;
  using Other = Tiles<T, kOtherRows, kWidth>;
  GRAFT_SHARED(Shared, shared);
  const Head head = Head::of_block(b.p, b.tiles());
  const int lane = int(threadIdx.x) % 32, first = b.first_own_row() + own_row_of_warp();
  shared.own.template load<false>(b, head, b.first_own_row());
  float dv[kWidth / 8][4] = {};  // as `sums` above
  int query = lane % 4 * 2;
  run_ring(
      shared.other, b.steps(),
      [&](Other& queries, int step) { queries.template load<true>(b, head, step * kOtherRows); },
      [&](const Other& queries) {
        if (first >= head.tokens()) return;
        Square shares = {};
        multiply_rows(shares, shared.own.scores, own_row_of_warp(), queries.scores);
        Square unused = {};
        differentiate<false>(shares, unused, head, b.rows_of(head), first + lane / 4, query);
        multiply_columns(dv, shares, queries.shares);
        query += kOtherRows;
      });
  store_rows(dqkv + head.qkv_at(2), head.row_of_qkv(), first, head.tokens(), int(b.p.width),
             b.vectors, dv, make_float2(1, 1));
}

template <class T, int kWidth>
struct BiasShared {
  Tiles<T, kOwnRows, kWidth> queries;  // 64 rows
  Tiles<T, kOtherRows, kWidth> keys;   // 32 rows
};

// blockIdx.x: tile of 64 x 32; y: head; z: part of the images, `part` of them
// -> sums (parts, heads, tokens, tokens)
template <class T, int kWidth>
__global__ void __launch_bounds__(kAttentionThreads, kAttentionBlocks)
    bias_gradient(const Backward<T> b, int64_t part, float* sums) {
  using Shared = BiasShared<T, kWidth>;
  GRAFT_SHARED(Shared, shared);
  const int lane = int(threadIdx.x) % 32, tokens = int(b.p.tokens);
  const int first_query = b.first_own_row();
  const int first_key = int(blockIdx.x / b.tiles()) * kOtherRows;
  const int query = first_query + own_row_of_warp() + lane / 4, key = first_key + lane % 4 * 2;
  const int64_t begin = blockIdx.z * part, end = min(b.p.images, begin + part);
  Square sum = {};
  for (int64_t image = begin; image < end; ++image) {
    const Head head(b.p, image, blockIdx.y);
    shared.queries.template load<true>(b, head, first_query);
    shared.keys.template load<false>(b, head, first_key);
    ptx::copy_async_commit();
    ptx::copy_async_wait<0>();
    __syncthreads();
    Square s = {}, ds = {};
    multiply_tiles(s, ds, shared.queries, shared.keys);
    differentiate<true>(s, ds, head, b.rows_of(head), query, key);
#pragma unroll
    for (int n = 0; n < kOtherRows / 8; ++n)
#pragma unroll
      for (int i = 0; i < 4; ++i) sum[n][i] += ds[n][i];
    __syncthreads();  // the next image takes the tiles' place
  }
  sums += (int64_t(blockIdx.z) * b.p.heads + blockIdx.y) * tokens * tokens;
#pragma unroll
  for (int n = 0; n < kOtherRows / 8; ++n)
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = query + i / 2 * 8, column = key + 8 * n + i % 2;
      if (row < tokens && column < tokens) sums[int64_t(row) * tokens + column] = sum[n][i];
    }
}

// dbias (heads, tokens, tokens). Parts of at least four images, in about a thousand blocks.
template <class T, int kWidth>
void launch_bias_gradient(const Backward<T>& b, float* dbias, Stream stream) {
  const AttentionProblem& p = b.p;
  const int64_t tiles = tiles_of(p.tokens, kOwnRows) * tiles_of(p.tokens, kOtherRows);
  const int64_t wanted = std::clamp<int64_t>(1024 / (tiles * p.heads), 1, (p.images + 3) / 4);
  const int64_t part = (p.images + wanted - 1) / wanted, parts = (p.images + part - 1) / part;
  const int64_t size = p.heads * p.tokens * p.tokens;
  const Scratch sums(size_t(parts * size) * sizeof(float), stream);
  launch(bias_gradient<T, kWidth>,
         {dim3(unsigned(tiles), unsigned(p.heads), unsigned(parts)), dim3(kAttentionThreads),
          sizeof(BiasShared<T, kWidth>), stream},
         b, part, sums.data<float>());
  sum_rows(parts, size, sums.data<float>(), dbias, stream);
}

template <class T>
void attention_backward(const AttentionProblem& p, const T* qkv, const T* dy,
                        const AttentionGradients<T>& out, Stream stream) {
  if (p.heads <= 0 || p.tokens <= 0 || p.width <= 0) return;
  if (out.dbias && p.images <= 0)
    fill_bytes(out.dbias, 0, size_t(p.heads * p.tokens * p.tokens) * sizeof(float), stream);
  if (p.images <= 0 || (!out.dqkv && !out.dbias)) return;
  const Scratch rows(size_t(p.images * p.heads * p.tokens) * sizeof(QueryRow), stream);
  const Backward<T> b{p, aligned({qkv, dy, out.dqkv}) && p.width % kPack<T> == 0, qkv, dy,
                      rows.data<QueryRow>()};
  const auto blocks = unsigned(p.images * p.heads * tiles_of(p.tokens, kOwnRows));
  with_head_width(p.width, [&](auto width) {
    const Launch how{dim3(blocks), dim3(kAttentionThreads), sizeof(BackwardShared<T, width>),
                     stream};
    launch(query_rows<T, width>, how, b);
    if (out.dqkv) {
      launch(score_gradients<T, width, true>, how, b, out.dqkv);
      launch(score_gradients<T, width, false>, how, b, out.dqkv);
      launch(value_gradients<T, width>, how, b, out.dqkv);
    }
    if (out.dbias) launch_bias_gradient<T, width>(b, out.dbias, stream);
  });
}

}  // namespace graft::cuda
