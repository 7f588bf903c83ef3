// The gradient of the first layer's filters, from the photographs as they are decoded, which are
// normalised on their way into shared memory (conv2d_first.cuh). On tensor cores, in bf16 or f16.
// Not yet run on a GPU.
//
// A matrix product: m is filters, n the elements of a filter, depth the outputs. In a patch the
// chunks that neighbouring outputs read at one tap are the rows of a matrix (depth, 8), which
// ldmatrix transposes: no tap is copied.
//
//   dy (128 outputs, 64), of a tile  ──ldmatrix──► A (64, 32)   ┐
//   patch (rows, columns, pixel)     ──ldmatrix──► B (32, 8)    ┴─► sums (64, 7 chunks) of a warp
//
// A block has 64 filters and up to 28 chunks, of which each warp has every fourth; it goes from
// tile to tile and keeps its sums in registers. At last they become partial (blocks, k, r, s, 3),
// which a second kernel adds in a fixed order: the same bits every time. While a tile is
// multiplied, dy of the next is on its way. Memory: 3 bytes for each pixel, 2 K for each output; at
// 64 filters dy is all that counts.
#include <algorithm>
#include <stdexcept>

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/conv2d_first.cuh"
#include "kernels/cuda/conv2d_launch.h"
#include "kernels/cuda/gemm_mma.cuh"

namespace graft::cuda {
namespace {

constexpr int kM = 64, kThreads = 128, kWarps = kThreads / 32;  // of a block
constexpr int kChunksOfWarp = 7, kMostChunks = kWarps * kChunksOfWarp;  // 28: 7 x 7 at stride 2
constexpr int kStages = 2, kDepth = kTileRows * kTileColumns;

template <class T>
using Gradients = OperandTile<T, kM, kDepth, false>;  // (kDepth, kM)
static_assert(kTileColumns == 16, "a row of outputs is the depth of a product");
using FilterSums = float[kM / 16][kChunksOfWarp][4];  // of a lane: 4 of each product of 16 x 8

struct FirstGradient {  // a kernel's parameter
  ConvWork conv;        // a: dy (n, out_h, out_w, k); partial (gridDim.x, k, r, s, 3)
  Photographs photographs;
  int chunks;    // of a block, at most
  bool vectors;  // of dy 8 elements at a time
};

// dy of the tile's outputs and of the filters from m on -> (kDepth, kM); zeros beyond the last.
template <class T>
__device__ void load_gradients(Gradients<T>& to, const FirstGradient& work, const Pixel& tile,
                               int m) {
  using Tile = Gradients<T>;
  const TileGrid& outputs = work.photographs.tiles;
  const int filters = int(work.conv.problem.k);
  const int chunk = int(threadIdx.x) % Tile::kChunks, k = m + chunk * Tile::kPerChunk;
  const T* dy = static_cast<const T*>(work.conv.a);
#pragma unroll
  for (int i = 0; i < kDepth * Tile::kChunks / kThreads; ++i) {
    const int at = int(threadIdx.x) / Tile::kChunks + i * (kThreads / Tile::kChunks);
    const int row = tile.row * kTileRows + at / kTileColumns;
    const int column = tile.column * kTileColumns + at % kTileColumns;
    const bool inside = row < outputs.height && column < outputs.width && k < filters;
    const int count = inside ? min(filters - k, Tile::kPerChunk) : 0;
    const T* from =
        dy + ((int64_t(tile.image) * outputs.height + row) * outputs.width + column) * filters + k;
    T* place = to.elements + Tile::place(at, chunk);
    if (work.vectors)
      ptx::copy_async<16>(place, inside ? from : dy, inside ? 16 : 0);
    else
      for (int j = 0; j < Tile::kPerChunk; ++j) place[j] = j < count ? from[j] : T(0.0f);
  }
}

// The chunks of taps of this warp: where they are in a patch, from the pixel that the first tap
// meets on, elements; -1 for those past the block's last.
struct OwnChunks {
  int at[kChunksOfWarp];

  __device__ OwnChunks(const TapChunks& chunks, int first, int end) {
#pragma unroll
    for (int j = 0; j < kChunksOfWarp; ++j) {
      const int chunk = first + j * kWarps + int(threadIdx.x) / 32, r = chunk / chunks.row;
      at[j] = chunk < end ? r * chunks.columns * chunks.pixel + (chunk - r * chunks.row) * 8 : -1;
    }
  }
};

// sums += dy (kDepth, kM), transposed, times the warp's chunks of patch (rows, columns, pixel).
template <class T>
__device__ void multiply_tile(FilterSums& sums, const Gradients<T>& dy, const T* patch,
                              const OwnChunks& own, const FirstGradient& work) {
  const Conv2dProblem& p = work.conv.problem;
  const TapChunks& chunks = work.photographs.chunks;
  const int lane = int(threadIdx.x) % 32;
#pragma unroll 1
  for (int row = 0; row < kTileRows; row += 2) {  // of outputs: half of the lanes point at each
    const int down = (row + lane / kTileColumns) * p.stride_h;
    const int right = lane % kTileColumns * p.stride_w;
    const T* first = patch + (down * chunks.columns + right) * chunks.pixel;
    uint32_t a[2][kM / 16][4];
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int i = 0; i < kM / 16; ++i) dy.fragment(a[half][i], i * 16, row + half);
#pragma unroll
    for (int j = 0; j < kChunksOfWarp; ++j) {
      if (own.at[j] < 0) break;
      uint32_t b[4];
      ptx::ldmatrix_transposed(b, first + own.at[j]);
#pragma unroll
      for (int i = 0; i < kM / 16; ++i) {
        multiply<T>(sums[i][j], a[0][i], b[0], b[1]);
        multiply<T>(sums[i][j], a[1][i], b[2], b[3]);
      }
    }
  }
}

// The block's sums -> its share of partial: filters from m on, chunks from first to end.
__device__ void store_sums(const FilterSums& sums, const FirstGradient& work, int m, int first,
                           int end) {
  const Conv2dProblem& p = work.conv.problem;
  const TapChunks& chunks = work.photographs.chunks;
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  float* partial = work.conv.partial + blockIdx.x * (p.k * p.r * p.s * 3);
#pragma unroll
  for (int j = 0; j < kChunksOfWarp; ++j) {
    const int chunk = first + j * kWarps + warp, r = chunk / chunks.row;
    if (chunk >= end) break;
#pragma unroll
    for (int next = 0; next < 2; ++next) {
      const int in_row = (chunk - r * chunks.row) * 8 + lane % 4 * 2 + next;
      const int s = in_row / chunks.pixel, channel = in_row % chunks.pixel;
      if (s >= p.s || channel >= 3) continue;
#pragma unroll
      for (int i = 0; i < kM / 16 * 2; ++i) {
        const int k = m + i * 8 + lane / 4;
        if (k < p.k)
          partial[((k * p.r + r) * p.s + s) * 3 + channel] = sums[i / 2][j][i % 2 * 2 + next];
      }
    }
  }
}

// dy (n, out_h, out_w, k), pixels (n, h, w, 3) -> partial (gridDim.x, k, r, s, 3).
// Blocks: x goes from tile to tile, y is 64 filters, z a part of the chunks.
template <class T>
__global__ void __launch_bounds__(kThreads, 2) conv2d_first_gradient(const FirstGradient work) {
  struct Shared {
    Gradients<T> dy[kStages];  // (kDepth, kM)
    T table[3 * 256];          // (3, 256)
    alignas(16) T patches[8];  // and more: (kStages, rows, columns, pixel)
  };
  GRAFT_SHARED(Shared, shared);
  const Photographs& photographs = work.photographs;
  const int m = int(blockIdx.y) * kM, first = int(blockIdx.z) * work.chunks;
  const int end = min(first + work.chunks, photographs.chunks.count);
  const int blocks = int(gridDim.x), block = int(blockIdx.x);
  const int steps = (photographs.tiles.count() - block + blocks - 1) / blocks;
  auto patch = [&](const Gradients<T>& dy) {
    return shared.patches + (&dy - shared.dy) * photographs.chunks.patch();
  };
  auto bring = [&](Gradients<T>& dy, int step) {
    const Pixel tile = photographs.tile(block + step * blocks);
    load_gradients(dy, work, tile, m);
    load_patch<kThreads>(patch(dy), shared.table, work.conv.problem, photographs, tile);
  };
  const OwnChunks own(photographs.chunks, first, end);
  FilterSums sums = {};
  auto multiply = [&](const Gradients<T>& dy) { multiply_tile(sums, dy, patch(dy), own, work); };
  load_table<kThreads>(shared.table, photographs);
  __syncthreads();
  run_ring(shared.dy, steps, bring, multiply);
  store_sums(sums, work, m, first, end);
}

struct WriteGradient {
  float* dw;  // (k r s 3)
  __device__ void operator()(int64_t i, const double (&sum)[1]) const { dw[i] = float(sum[0]); }
};

size_t shared_bytes(const TapChunks& chunks) {
  return sizeof(Gradients<__half>[kStages]) + (3 * 256 + kStages * size_t(chunks.patch())) * 2;
}

int divide_up(int a, int b) { return (a + b - 1) / b; }

template <class T>
void launch_gradient(FirstGradient work, Stream stream) {
  const Conv2dProblem& p = work.conv.problem;
  const TapChunks& chunks = work.photographs.chunks;
  const int64_t elements = p.k * p.r * p.s * 3;
  const int down = divide_up(int(p.k), kM), across = divide_up(chunks.count, kMostChunks);
  const int tiles = std::max(work.photographs.tiles.count(), 1);
  const int blocks = std::clamp(2 * multiprocessors() / (down * across), 1, tiles);
  Scratch partial(size_t(blocks) * size_t(elements) * sizeof(float), stream);
  work.conv.partial = partial.data<float>();
  work.chunks = divide_up(chunks.count, across);
  launch(conv2d_first_gradient<T>,
         {dim3(unsigned(blocks), unsigned(down), unsigned(across)), dim3(kThreads),
          shared_bytes(chunks), stream},
         work);
  finish_sums<1, kBlock>(blocks, elements, work.conv.partial,
                         WriteGradient{static_cast<float*>(work.conv.out)}, stream);
}

}  // namespace

bool has_conv2d_first_wgrad(GemmMath math, const Conv2dProblem& p) {
  return takes_photographs(math, p) &&
         shared_bytes(TapChunks(p)) <= device_info().shared_per_block;
}

void conv2d_first_wgrad(GemmMath math, const Conv2dProblem& p, const uint8_t* x,
                        const Normalization& normalization, const void* dy, float* dw,
                        Stream stream) {
  if (!has_conv2d_first_wgrad(math, p))
    throw std::invalid_argument("conv2d_first_wgrad: three channels, no groups, no dilation, bf16 "
                                "or f16, and pixels that fit into shared memory");
  const ConvWork conv = conv_work(
      ConvPass::wgrad, math,
      {.problem = p, .a = dy, .b = x, .out = dw, .out_type = DType::f32});
  const FirstGradient work{.conv = conv,
                           .photographs = Photographs(p, x, normalization),
                           .chunks = 0,
                           .vectors = p.k % 8 == 0 && aligned({dy})};
  if (p.k == 0) return;
  if (math == GemmMath::bf16)
    launch_gradient<__nv_bfloat16>(work, stream);
  else
    launch_gradient<__half>(work, stream);
}

}  // namespace graft::cuda
