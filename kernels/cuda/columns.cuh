// Matrices (rows, channels) whose channels have values of their own: a thread stays with kWidth
// channels and walks down the rows, so that what belongs to a channel is loaded once and no index is
// divided. And sums over the rows.
//
//            across threads, kWidth channels each
//          ┌───────────────┐
//   down   │ a row of each │  group 0  │ group 1 │ ...      blockIdx.x: group of channels
//   rows   │               │           │         │          blockIdx.y: every so many rows
//          └───────────────┘
//
// There may be several such matrices, one for each image, in blockIdx.z.
// Sums are taken in float by a thread, in a tree by a block, and over the blocks in double by a
// second kernel. The order is a function of the shape alone: the same bits every time.
// Not yet run on a GPU.
#pragma once
#include <algorithm>

#include "kernels/cuda/pack.cuh"

namespace graft::cuda {

struct ColumnGrid {
  int64_t rows, channels;
  int across;       // threads side by side, a power of two up to 32
  unsigned groups;  // blocks side by side
  unsigned chunks;  // blocks below one another
  int64_t images;   // matrices

  dim3 grid() const { return dim3(groups, chunks, unsigned(images)); }
};

// About `blocks` blocks, but not so many that a thread has fewer than four rows.
inline ColumnGrid column_grid(int64_t images, int64_t rows, int64_t channels, int width,
                              int64_t blocks) {
  const int64_t packs = (channels + width - 1) / width;
  int across = 32;
  auto idle = [&] { return (packs + across - 1) / across * across - packs; };
  while (across > 8 && idle() > packs / 8) across /= 2;
  while (across / 2 >= packs && across > 1) across /= 2;
  const int64_t groups = (packs + across - 1) / across, down = kBlock / across;
  const int64_t chunks =
      std::max<int64_t>(std::min(blocks / (groups * images) + 1, rows / (4 * down)), 1);
  return {rows, channels, across, unsigned(groups), unsigned(chunks), images};
}

template <int kWidth>
struct ColumnThread {
  int64_t channel, row, end, step;  // rows are counted over all images

  __device__ explicit ColumnThread(const ColumnGrid& g)
      : channel((int64_t(blockIdx.x) * g.across + int(threadIdx.x) % g.across) * kWidth),
        row(blockIdx.z * g.rows + int64_t(blockIdx.y) * (kBlock / g.across) +
            int(threadIdx.x) / g.across),
        end((blockIdx.z + 1) * g.rows),
        step(int64_t(g.chunks) * (kBlock / g.across)) {}
};

// `F::Columns<kWidth>(f, channel)` is what a thread keeps; its run(row, i) does the elements
// [i, i + kWidth) of that row; row and i are counted from the first matrix' first.
template <int kWidth, class F>
__global__ void __launch_bounds__(kBlock, 4) each_column(const ColumnGrid g, const F f) {
  const ColumnThread<kWidth> at(g);
  if (at.channel >= g.channels) return;
  typename F::template Columns<kWidth> columns(f, at.channel);
  for (int64_t row = at.row; row < at.end; row += at.step)
    columns.run(row, row * g.channels + at.channel);
}

template <int kWide, class F>
void for_each_column(int64_t rows, int64_t channels, bool vectors, const F& f, Stream stream,
                     int64_t images = 1) {
  if (rows <= 0 || channels <= 0 || images <= 0) return;
  with_width<kWide>(vectors && channels % kWide == 0, [&](auto width) {
    const ColumnGrid g = column_grid(images, rows, channels, width, 4096);
    launch(each_column<width, F>, {g.grid(), dim3(kBlock), 0, stream}, g, f);
  });
}

// ---- sums: F::kSums of them, `columns.add(row, i, sums)` adds an element's part to each

template <int kSums, int kWidth>
struct ColumnSums {
  float sum[kSums][kWidth][kBlock];  // of a thread each
};

// -> partial (chunks, kSums, images, channels)
template <int kWidth, class F>
__global__ void __launch_bounds__(kBlock, 4)
    sum_columns(const ColumnGrid g, const F f, float* partial) {
  using Sums = ColumnSums<F::kSums, kWidth>;
  GRAFT_SHARED(Sums, shared);
  const ColumnThread<kWidth> at(g);
  float sum[F::kSums][kWidth] = {};
  if (at.channel < g.channels) {
    typename F::template Columns<kWidth> columns(f, at.channel);
    for (int64_t row = at.row; row < at.end; row += at.step)
      columns.add(row, row * g.channels + at.channel, sum);
  }
  const int thread = int(threadIdx.x);
#pragma unroll
  for (int k = 0; k < F::kSums; ++k)
#pragma unroll
    for (int j = 0; j < kWidth; ++j) shared.sum[k][j][thread] = sum[k][j];
  for (int half = kBlock / 2; half >= g.across; half /= 2) {
    __syncthreads();
    if (thread >= half) continue;
#pragma unroll
    for (int k = 0; k < F::kSums; ++k)
#pragma unroll
      for (int j = 0; j < kWidth; ++j)
        shared.sum[k][j][thread] += shared.sum[k][j][thread + half];
  }
  if (thread >= g.across || at.channel >= g.channels) return;
  for (int k = 0; k < F::kSums; ++k)
    for (int j = 0; j < kWidth; ++j)
      partial[((int64_t(blockIdx.y) * F::kSums + k) * g.images + blockIdx.z) * g.channels +
              at.channel + j] = shared.sum[k][j][thread];
}

constexpr int kFinishAcross = 8;  // channels of a block: 32 bytes of a row of `partial`

template <int kSums, int kThreads>
struct FinishSums {
  double sum[kSums][kThreads];  // of a thread each
};

// partial (chunks, kSums, channels), channels being counted over all images. The chunks of a
// channel are added by an eighth of the threads, and those in a tree; then finish(channel, sums).
template <int kSums, int kThreads, class Finish>
__global__ void __launch_bounds__(kThreads)
    finish_columns(int64_t chunks, int64_t channels, const float* partial, const Finish finish) {
  using Sums = FinishSums<kSums, kThreads>;
  GRAFT_SHARED(Sums, shared);
  const int thread = int(threadIdx.x);
  const int64_t channel = int64_t(blockIdx.x) * kFinishAcross + thread % kFinishAcross;
  double sum[kSums] = {};
  if (channel < channels)
    for (int64_t chunk = thread / kFinishAcross; chunk < chunks; chunk += kThreads / kFinishAcross)
#pragma unroll
      for (int k = 0; k < kSums; ++k)
        sum[k] += double(partial[(chunk * kSums + k) * channels + channel]);
  for (int k = 0; k < kSums; ++k) shared.sum[k][thread] = sum[k];
  for (int half = kThreads / 2; half >= kFinishAcross; half /= 2) {
    __syncthreads();
    if (thread >= half) continue;
    for (int k = 0; k < kSums; ++k) shared.sum[k][thread] += shared.sum[k][thread + half];
  }
  if (thread >= kFinishAcross || channel >= channels) return;
  for (int k = 0; k < kSums; ++k) sum[k] = shared.sum[k][thread];
  finish(channel, sum);
}

// partial (chunks, kSums, columns)
template <int kSums, int kThreads, class Finish>
void finish_sums(int64_t chunks, int64_t columns, const float* partial, const Finish& finish,
                 Stream stream) {
  const auto blocks = unsigned((columns + kFinishAcross - 1) / kFinishAcross);
  launch(finish_columns<kSums, kThreads, Finish>,
         {dim3(blocks), dim3(kThreads), sizeof(FinishSums<kSums, kThreads>), stream}, chunks,
         columns, partial, finish);
}

template <int kWide, class F, class Finish>
void sum_over_rows(int64_t rows, int64_t channels, bool vectors, const F& f, const Finish& finish,
                   Stream stream, int64_t images = 1) {
  if (channels <= 0 || images <= 0) return;
  with_width<kWide>(vectors && channels % kWide == 0, [&](auto width) {
    const ColumnGrid g = column_grid(images, rows, channels, width, 1024);
    const int64_t columns = images * channels;
    Scratch partial(size_t(g.chunks) * F::kSums * size_t(columns) * sizeof(float), stream);
    launch(sum_columns<width, F>,
           {g.grid(), dim3(kBlock), sizeof(ColumnSums<F::kSums, width>), stream}, g, f,
           partial.data<float>());
    finish_sums<F::kSums, kBlock>(g.chunks, columns, partial.data<float>(), finish, stream);
  });
}

}  // namespace graft::cuda
