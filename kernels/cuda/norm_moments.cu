// The statistics of batch normalisation from the moments that the kernel before has left of each
// tile (kernels/moments.h): x itself is not read.
//
// A block has a few channels, and every so many tiles of them a thread; differences from the first
// tile's mean are added up in double, and the threads' sums in a tree. Bytes moved: 8 for each
// channel of a tile, that is 3 % of x in bf16 with tiles of 128 rows, which the L2 cache may still
// hold. Not yet run on a GPU.
#include "kernels/cuda/norm_statistics.cuh"

namespace graft::cuda {
namespace {

constexpr int kAcross = 4, kDown = 128, kThreads = kAcross * kDown;  // 32 bytes of a tile's moments

struct MomentSums {
  double shift[kThreads], squares[kThreads];  // of a thread each
};

// x.of (tiles, channels) -> arrays (channels) of `finish`; blockIdx.x: kAcross channels
__global__ void __launch_bounds__(kThreads)
    merge_moments(const TileMoments x, int64_t rows, int64_t channels, const FinishStatistics finish) {
  GRAFT_SHARED(MomentSums, shared);
  const int thread = int(threadIdx.x);
  const int64_t channel = int64_t(blockIdx.x) * kAcross + thread % kAcross;
  const double pivot = channel < channels ? double(x.of[channel].mean) : 0.0;
  const int tiles = x.tiles.count();
  double shift = 0, squares = 0;
  if (channel < channels) {
#pragma unroll 8
    for (int tile = thread / kAcross; tile < tiles; tile += kDown) {
      const ChannelMoments m = x.of[tile * channels + channel];
      const auto count = double(x.tiles.rows_of(tile));
      const double d = double(m.mean) - pivot;
      shift += count * d;
      squares += double(m.spread) + count * d * d;
    }
  }
  shared.shift[thread] = shift, shared.squares[thread] = squares;
  for (int half = kThreads / 2; half >= kAcross; half /= 2) {
    __syncthreads();
    if (thread >= half) continue;
    shared.shift[thread] += shared.shift[thread + half];
    shared.squares[thread] += shared.squares[thread + half];
  }
  if (thread >= kAcross || channel >= channels) return;
  const double m = shared.shift[thread] / double(rows);
  finish(channel, pivot + m, shared.squares[thread] / double(rows) - m * m);
}

}  // namespace

void batch_norm_statistics(int64_t rows, int64_t channels, const TileMoments& x,
                           const BatchStatistics& out, Stream stream) {
  if (rows <= 0 || channels <= 0) return;
  const auto blocks = unsigned((channels + kAcross - 1) / kAcross);
  launch(merge_moments, {dim3(blocks), dim3(kThreads), sizeof(MomentSums), stream}, x, rows, channels,
         FinishStatistics{double(rows), out});
}

}  // namespace graft::cuda
