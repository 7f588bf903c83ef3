// The first layer: a convolution of photographs as they are decoded, three bytes a pixel, which are
// normalised on their way into shared memory. On tensor cores, in bf16 or f16. Not yet run on a GPU.
//
// Three channels make no 16-byte chunk, but neighbouring taps of a row do. A pixel is put down as 4
// elements (r g b 0), so two taps are one chunk; where the stride is odd as 8, so that the chunks
// of neighbouring outputs begin at multiples of 16 bytes, as ldmatrix wants them:
//
//   patch (rows, columns, 4):  stride 2, filter 7 x 7:  a row of taps is 4 chunks, the 8th tap zero
//      column  0  1  2  3  4  5  6  7  8  9
//              └─output 0, chunk 0..3─┘
//                    └─output 1────────────┘          outputs are 2 pixels = 1 chunk apart
//
// A block keeps the filter for 64 channels in shared memory and goes from tile to tile: 8 x 16
// outputs, of which a warp computes two rows, and which are a tile of the moments. Memory: 3 bytes
// in, 2 K bytes out for each pixel of the result; at 64 channels writing y is all that counts.
#include <algorithm>
#include <stdexcept>

#include "kernels/cuda/conv2d_block.cuh"
#include "kernels/cuda/ptx.cuh"
#include "kernels/cuda/gemm_mma.cuh"

namespace graft::cuda {
namespace {

constexpr int kRows = 8, kColumns = 16, kN = 64, kThreads = 128;  // of a tile, of a block
constexpr int kRowsOfWarp = kRows / (kThreads / 32);

// How the taps of one filter lie in chunks of 8 elements.
struct TapChunks {
  int pixel;    // elements: 4 or 8
  int row;      // chunks in a row of taps
  int count;    // in the filter, made even: a product takes two
  int stride;   // of a filter in shared memory, elements; one chunk more, so that eight neighbouring
                // filters lie in different banks
  int rows, columns;  // of the patch that a tile reads

  explicit TapChunks(const Conv2dProblem& p)
      : pixel(p.stride_w % 2 ? 8 : 4), row(pixel == 4 ? int(p.s + 1) / 2 : int(p.s)),
        count((row * int(p.r) + 1) / 2 * 2), stride(count * 8 + 8),
        rows((kRows - 1) * p.stride_h + int(p.r)),
        columns((kColumns - 1) * p.stride_w + row * 8 / pixel) {}

  size_t filter_bytes() const { return size_t(kN) * size_t(stride) * 2; }
  size_t patch_bytes() const { return size_t(rows) * size_t(columns) * size_t(pixel) * 2; }
};

using Staged = StagedTile<kRows * kColumns, kN>;
using FirstNotes = ConvNotes<ConvPass::fprop, 4, kN, kThreads / (kN / 4)>;
static_assert(sizeof(FirstNotes::Parts) <= sizeof(Staged));

struct FirstWork {
  ConvWork conv;     // a: pixels (n, h, w, 3) u8
  PixelTable table;  // (3, 256)
  bool bgr;
  TapChunks chunks;
  TileGrid tiles;
};

// (k, r, s, 3) from channel n on -> filters (kN, stride).
template <class T>
__device__ void load_filters(T* filters, const FirstWork& work, int n) {
  const Conv2dProblem& p = work.conv.problem;
  const TapChunks& chunks = work.chunks;
  const T* w = static_cast<const T*>(work.conv.b);
  for (int i = int(threadIdx.x); i < kN * chunks.count * 8; i += kThreads) {
    const int k = i / (chunks.count * 8), at = i % (chunks.count * 8);
    const int r = at / 8 / chunks.row, in_row = at - r * chunks.row * 8;
    const int s = in_row / chunks.pixel, channel = in_row % chunks.pixel;
    const bool inside = n + k < p.k && r < p.r && s < p.s && channel < 3;
    filters[k * chunks.stride + at] =
        inside ? w[((int64_t(n + k) * p.r + r) * p.s + s) * 3 + channel] : T(0.0f);
  }
}

// What the 256 values of a channel become -> table (3, 256).
template <class T>
__device__ void load_table(T* table, const FirstWork& work) {
  for (int i = int(threadIdx.x); i < 3 * 256; i += kThreads)
    table[i] = T(work.table.of[i / 256][i % 256]);
}

// The pixels that the tile's outputs read -> patch (rows, columns, pixel); zeros around the image.
template <class T>
__device__ void load_patch(T* patch, const T* table, const FirstWork& work, const Pixel& tile) {
  const Conv2dProblem& p = work.conv.problem;
  const TapChunks& chunks = work.chunks;
  const auto* x = static_cast<const uint8_t*>(work.conv.a);
  const int top = tile.row * kRows * p.stride_h - p.pad_top;
  const int left = tile.column * kColumns * p.stride_w - p.pad_left;
  for (int i = int(threadIdx.x); i < chunks.rows * chunks.columns; i += kThreads) {
    const int row = top + i / chunks.columns, column = left + i % chunks.columns;
    const bool inside = unsigned(row) < unsigned(p.h) && unsigned(column) < unsigned(p.w);
    const uint8_t* pixel = x + ((int64_t(tile.image) * p.h + row) * p.w + column) * 3;
    for (int channel = 0; channel < chunks.pixel; ++channel) {
      const int from = work.bgr ? 2 - channel : channel;
      patch[i * chunks.pixel + channel] =
          inside && channel < 3 ? table[channel * 256 + pixel[from]] : T(0.0f);
    }
  }
}

using FirstSums = float[kRowsOfWarp][kN / 8][4];  // of a lane: 4 of each product of 16 x 8

// A warp's rows of 16 outputs, from filters (kN, stride) and patch (rows, columns, pixel).
template <class T>
__device__ void multiply_patch(FirstSums& sums, const T* filters, const T* patch,
                               const FirstWork& work) {
  const Conv2dProblem& p = work.conv.problem;
  const TapChunks& chunks = work.chunks;
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
      ptx::ldmatrix(b, filters + (j * 16 + lane % 16) * chunks.stride + chunk * 8);
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
        const int row = (warp * kRowsOfWarp + i) * kColumns + lane / 4 + half * 8;
        *reinterpret_cast<float2*>(staged.sums + row * Staged::kStride + j * 8 + lane % 4 * 2) =
            make_float2(sums[i][j][2 * half], sums[i][j][2 * half + 1]);
      }
}

// staged (kRows kColumns, kN) -> y and its moments, of the channels from n on.
__device__ void finish_first_tile(const FirstWork& work, Staged& staged, const Pixel& tile,
                                  int number, int n) {
  const ConvPart<ConvPass::fprop> part(work.conv, 0);
  const PixelGrid& grid = part.grid;
  const int column = int(threadIdx.x) % (kN / 4) * 4, count = min(part.n - n - column, 4);
  FirstNotes notes(work.conv, n + column, count);
  const bool noted = notes.wanted(work.conv);
#pragma unroll 1
  for (int at = int(threadIdx.x) / (kN / 4); at < kRows * kColumns; at += kThreads / (kN / 4)) {
    const int row = tile.row * kRows + at / kColumns, right = tile.column * kColumns + at % kColumns;
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
    Staged staged;     // (kRows kColumns, kN) f32
    T table[3 * 256];  // (3, 256)
    alignas(16) T filters[8];  // and more: (kN, stride), then the patch (rows, columns, pixel)
  };
  GRAFT_SHARED(Shared, shared);
  T* patch = shared.filters + kN * work.chunks.stride;
  const int n = int(blockIdx.y) * kN;
  load_filters(shared.filters, work, n);
  load_table(shared.table, work);
  __syncthreads();
  const int across = work.tiles.across(), per_image = work.tiles.down() * across;
  for (int i = int(blockIdx.x); i < work.tiles.count(); i += int(gridDim.x)) {
    const int within = i % per_image;
    const Pixel tile{i / per_image, within / across, within % across};
    load_patch(patch, shared.table, work, tile);
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
  return sizeof(Staged) + 3 * 256 * 2 + chunks.filter_bytes() + chunks.patch_bytes();
}

template <class T>
void launch_first(const FirstWork& work, Stream stream) {
  const size_t shared = shared_bytes(work.chunks);
  const int blocks = std::min(work.tiles.count(), 2 * multiprocessors());
  const dim3 grid(unsigned(blocks), unsigned((work.conv.problem.k + kN - 1) / kN));
  launch(conv2d_first_layer<T>, {grid, dim3(kThreads), shared, stream}, work);
}

}  // namespace

bool has_conv2d_first(GemmMath math, const Conv2dProblem& p) {
  return p.c == 3 && p.groups == 1 && p.dilation_h == 1 && p.dilation_w == 1 && element_size(math) == 2 &&
         shared_bytes(TapChunks(p)) <= device_info().shared_per_block;
}

TileGrid conv2d_first_moment_tiles(const Conv2dProblem& p) {
  return {int(p.n), int(p.out_h()), int(p.out_w()), kRows, kColumns};
}

void conv2d_first(GemmMath math, const Conv2dProblem& p, const uint8_t* x,
                  const Normalization& normalization, const void* w, const ConvLastStep& last,
                  void* y, DType y_type, Stream stream) {
  if (!has_conv2d_first(math, p))
    throw std::invalid_argument("conv2d_first: three channels, no groups, no dilation, bf16 or f16, and "
                                "filters that fit into shared memory");
  const FirstWork work{
      .conv = conv_work(ConvPass::fprop, math, fprop_work(p, x, w, last, y, y_type)),
      .table = pixel_table(normalization),
      .bgr = normalization.bgr,
      .chunks = TapChunks(p),
      .tiles = conv2d_first_moment_tiles(p)};
  if (work.tiles.count() == 0 || p.k == 0) return;
  if (math == GemmMath::bf16)
    launch_first<__nv_bfloat16>(work, stream);
  else
    launch_first<__half>(work, stream);
}

}  // namespace graft::cuda
