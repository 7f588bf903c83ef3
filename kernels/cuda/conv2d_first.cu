// The first layer: a convolution of photographs as they are decoded, three bytes a pixel, which are
// normalised on their way into shared memory (conv2d_first.cuh). On tensor cores, in bf16 or f16.
// Not yet run on a GPU.
//
//   patch (rows, columns, pixel) ──ldmatrix──► A (16 outputs, 16)  ┐
//   filters (64, chunks of taps) ──ldmatrix──► B (16 filters, 16)  ┴─► sums (2 rows, 16, 64) of a warp
//
// A block keeps the filter for 64 channels in shared memory and goes from tile to tile: 8 x 16
// outputs, of which a warp computes two rows, and which are a tile of the moments. Memory: 3 bytes
// in, 2 K bytes out for each pixel of the result; at 64 channels writing y is all that counts.
#include <algorithm>
#include <stdexcept>

#include "kernels/cuda/conv2d_block.cuh"
#include "kernels/cuda/conv2d_first.cuh"
#include "kernels/cuda/ptx.cuh"
#include "kernels/cuda/gemm_mma.cuh"

namespace graft::cuda {
namespace {

constexpr int kN = 64, kThreads = 128;  // of a block
constexpr int kRowsOfWarp = kTileRows / (kThreads / 32);

// The filters in shared memory: a product takes two chunks, so their count is made even; one chunk
// more, so that eight neighbouring filters lie in different banks.
GRAFT_HD int even_count(const TapChunks& chunks) { return (chunks.count + 1) / 2 * 2; }
GRAFT_HD int filter_stride(const TapChunks& chunks) { return even_count(chunks) * 8 + 8; }

using Staged = StagedTile<kTileRows * kTileColumns, kN>;
using FirstNotes = ConvNotes<ConvPass::fprop, 4, kN, kThreads / (kN / 4)>;
static_assert(sizeof(FirstNotes::Parts) <= sizeof(Staged));

struct FirstWork {
  ConvWork conv;  // a: pixels (n, h, w, 3) u8
  Photographs photographs;
};

// (k, r, s, 3) from channel n on -> filters (kN, filter_stride).
template <class T>
__device__ void load_filters(T* filters, const FirstWork& work, int n) {
  const Conv2dProblem& p = work.conv.problem;
  const TapChunks& chunks = work.photographs.chunks;
  const T* w = static_cast<const T*>(work.conv.b);
  const int elements = even_count(chunks) * 8, stride = filter_stride(chunks);
  for (int i = int(threadIdx.x); i < kN * elements; i += kThreads) {
    const int k = i / elements, at = i % elements;
    const int r = at / 8 / chunks.row, in_row = at - r * chunks.row * 8;
    const int s = in_row / chunks.pixel, channel = in_row % chunks.pixel;
    const bool inside = n + k < p.k && r < p.r && s < p.s && channel < 3;
    filters[k * stride + at] =
        inside ? w[((int64_t(n + k) * p.r + r) * p.s + s) * 3 + channel] : T(0.0f);
  }
}

using FirstSums = float[kRowsOfWarp][kN / 8][4];  // of a lane: 4 of each product of 16 x 8

// A warp's rows of 16 outputs, from filters (kN, filter_stride) and patch (rows, columns, pixel).
template <class T>
__device__ void multiply_patch(FirstSums& sums, const T* filters, const T* patch,
                               const FirstWork& work) {
  const Conv2dProblem& p = work.conv.problem;
  const TapChunks& chunks = work.photographs.chunks;
  const int stride = filter_stride(chunks);
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
  for (int pair = 0; pair < chunks.count; pair += 2) {
    const int chunk = pair + lane / 16;  // the one that this lane's address is of
    const int r = min(chunk / chunks.row, int(p.r) - 1);  // the chunk that makes them even: any
    const int right = (chunk - r * chunks.row) % chunks.row * 8;
    uint32_t a[kRowsOfWarp][4];
#pragma unroll
    for (int i = 0; i < kRowsOfWarp; ++i) {
      const int row = (warp * kRowsOfWarp + i) * p.stride_h + r;
      const int column = lane % 16 * p.stride_w;
      ptx::ldmatrix(a[i], patch + (row * chunks.columns + column) * chunks.pixel + right);
    }
#pragma unroll
    for (int j = 0; j < kN / 16; ++j) {
      uint32_t b[4];
      ptx::ldmatrix(b, filters + (j * 16 + lane % 16) * stride + chunk * 8);
#pragma unroll
      for (int i = 0; i < kRowsOfWarp; ++i) {
        multiply<T>(sums[i][2 * j], a[i], b[0], b[2]);
        multiply<T>(sums[i][2 * j + 1], a[i], b[1], b[3]);
      }
    }
  }
}

__device__ void stage_first_sums(Staged& staged, const FirstSums& sums) {
  const int warp = int(threadIdx.x) / 32, lane = int(threadIdx.x) % 32;
#pragma unroll
  for (int i = 0; i < kRowsOfWarp; ++i)
#pragma unroll
    for (int j = 0; j < kN / 8; ++j)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = (warp * kRowsOfWarp + i) * kTileColumns + lane / 4 + half * 8;
        *reinterpret_cast<float2*>(staged.sums + row * Staged::kStride + j * 8 + lane % 4 * 2) =
            make_float2(sums[i][j][2 * half], sums[i][j][2 * half + 1]);
      }
}

// staged (kTileRows kTileColumns, kN) -> y and its moments, of the channels from n on.
__device__ void finish_first_tile(const FirstWork& work, Staged& staged, const Pixel& tile,
                                  int number, int n) {
  const ConvPart<ConvPass::fprop> part(work.conv, 0);
  const PixelGrid& grid = part.grid;
  const int column = int(threadIdx.x) % (kN / 4) * 4, count = min(part.n - n - column, 4);
  FirstNotes notes(work.conv, n + column, count);
  const bool noted = notes.wanted(work.conv);
#pragma unroll 1
  for (int at = int(threadIdx.x) / (kN / 4); at < kTileRows * kTileColumns;
       at += kThreads / (kN / 4)) {
    const int row = tile.row * kTileRows + at / kTileColumns;
    const int right = tile.column * kTileColumns + at % kTileColumns;
    if (row >= grid.rows || right >= grid.columns || count <= 0) continue;
    const float4 four =
        *reinterpret_cast<const float4*>(staged.sums + at * Staged::kStride + column);
    float v[4] = {four.x, four.y, four.z, four.w};
    const int64_t to =
        finish_result(work.conv, part, (tile.image * grid.rows + row) * grid.columns + right,
                      n + column, count, v);
    if (noted) notes.add(work.conv, to, count, v);
  }
  if (noted)
    notes.store(reinterpret_cast<FirstNotes::Parts&>(staged), work.conv, {number, n, part.n - n});
}

// pixels (n, h, w, 3), w (k, r, s, 3) -> y (n, out_h, out_w, k).
// Blocks: x goes from tile to tile, y is 64 channels.
template <class T>
__global__ void __launch_bounds__(kThreads, 2) conv2d_first_layer(const FirstWork work) {
  struct Shared {
    Staged staged;     // (kTileRows kTileColumns, kN) f32
    T table[3 * 256];  // (3, 256)
    alignas(16) T filters[8];  // and more: (kN, filter_stride); the patch (rows, columns, pixel)
  };
  GRAFT_SHARED(Shared, shared);
  const Photographs& photographs = work.photographs;
  T* patch = shared.filters + kN * filter_stride(photographs.chunks);
  const int n = int(blockIdx.y) * kN;
  load_filters(shared.filters, work, n);
  load_table<kThreads>(shared.table, photographs);
  __syncthreads();
  for (int i = int(blockIdx.x); i < photographs.tiles.count(); i += int(gridDim.x)) {
    const Pixel tile = photographs.tile(i);
    load_patch<kThreads>(patch, shared.table, work.conv.problem, photographs, tile);
    __syncthreads();
    FirstSums sums = {};
    multiply_patch(sums, shared.filters, patch, work);
    stage_first_sums(shared.staged, sums);
    __syncthreads();  // also: the patch is no longer read
    finish_first_tile(work, shared.staged, tile, i, n);
    __syncthreads();
  }
}

size_t shared_bytes(const TapChunks& chunks) {
  const size_t filters = size_t(kN) * size_t(filter_stride(chunks));
  return sizeof(Staged) + (3 * 256 + filters + size_t(chunks.patch())) * 2;
}

template <class T>
void launch_first(const FirstWork& work, Stream stream) {
  const size_t shared = shared_bytes(work.photographs.chunks);
  const int blocks = std::min(work.photographs.tiles.count(), 2 * multiprocessors());
  const dim3 grid(unsigned(blocks), unsigned((work.conv.problem.k + kN - 1) / kN));
  launch(conv2d_first_layer<T>, {grid, dim3(kThreads), shared, stream}, work);
}

}  // namespace

bool has_conv2d_first(GemmMath math, const Conv2dProblem& p) {
  return takes_photographs(math, p) &&
         shared_bytes(TapChunks(p)) <= device_info().shared_per_block;
}

TileGrid conv2d_first_moment_tiles(const Conv2dProblem& p) { return tiles_of_outputs(p); }

void conv2d_first(GemmMath math, const Conv2dProblem& p, const uint8_t* x,
                  const Normalization& normalization, const void* w, const ConvLastStep& last,
                  void* y, DType y_type, Stream stream) {
  if (!has_conv2d_first(math, p))
    throw std::invalid_argument("conv2d_first: three channels, no groups, no dilation, bf16 or "
                                "f16, and filters that fit into shared memory");
  const FirstWork work{conv_work(ConvPass::fprop, math, fprop_work(p, x, w, last, y, y_type)),
                       Photographs(p, x, normalization)};
  if (work.photographs.tiles.count() == 0 || p.k == 0) return;
  if (math == GemmMath::bf16)
    launch_first<__nv_bfloat16>(work, stream);
  else
    launch_first<__half>(work, stream);
}

}  // namespace graft::cuda
