// The first layer: a convolution of photographs as they are decoded, three bytes a pixel, which are
// normalised on their way into shared memory (conv2d_first.cuh), and multiplied there
// (conv2d_first_products.cuh). Not yet run on a GPU.
//
//   patch (rows, columns, pixel)  ┐
//   filters (64, chunks of taps)  ┴─► sums ──► staged (128 outputs, 64) ──► y
//
// A block keeps the filter for 64 channels in shared memory and goes from tile to tile: 8 x 16
// outputs, which are a tile of the moments. Memory, in bf16: 3 bytes in, 2 K bytes out for each
// pixel of the result; at 64 channels writing y is all that counts.
#include <algorithm>
#include <stdexcept>

#include "kernels/cuda/conv2d_block.cuh"
#include "kernels/cuda/conv2d_first_products.cuh"

namespace graft::cuda {
namespace {

using FirstNotes = ConvNotes<ConvPass::fprop, 4, kTileFilters, kTileThreads / (kTileFilters / 4)>;
static_assert(sizeof(FirstNotes::Parts) <= sizeof(FirstStaged));

struct FirstWork {
  ConvWork conv;  // a: pixels (n, h, w, 3) u8
  Photographs photographs;
};

// (k, r, s, 3) from channel n on -> filters (kTileFilters, filter_stride).
template <class T>
__device__ void load_filters(T* filters, const FirstWork& work, int n) {
  const Conv2dProblem& p = work.conv.problem;
  const TapChunks& chunks = work.photographs.chunks;
  const T* w = static_cast<const T*>(work.conv.b);
  const int elements = even_count(chunks) * chunks.chunk, stride = filter_stride(chunks);
  for (int i = int(threadIdx.x); i < kTileFilters * elements; i += kTileThreads) {
    const int k = i / elements, at = i % elements;
    const int r = at / chunks.chunk / chunks.row, in_row = at - r * chunks.row * chunks.chunk;
    const int s = in_row / chunks.pixel, channel = in_row % chunks.pixel;
    const bool inside = n + k < p.k && r < p.r && s < p.s && channel < 3;
    filters[k * stride + at] =
        inside ? w[((int64_t(n + k) * p.r + r) * p.s + s) * 3 + channel] : T(0.0f);
  }
}

// staged (kTileRows kTileColumns, kTileFilters) -> y and its moments, of the channels from n on.
__device__ void finish_first_tile(const FirstWork& work, FirstStaged& staged, const Pixel& tile,
                                  int number, int n) {
  const ConvPart<ConvPass::fprop> part(work.conv, 0);
  const PixelGrid& grid = part.grid;
  constexpr int kFours = kTileFilters / 4;
  const int column = int(threadIdx.x) % kFours * 4, count = min(part.n - n - column, 4);
  FirstNotes notes(work.conv, n + column, count);
  const bool noted = notes.wanted(work.conv);
#pragma unroll 1
  for (int at = int(threadIdx.x) / kFours; at < kTileRows * kTileColumns;
       at += kTileThreads / kFours) {
    const int row = tile.row * kTileRows + at / kTileColumns;
    const int right = tile.column * kTileColumns + at % kTileColumns;
    if (row >= grid.rows || right >= grid.columns || count <= 0) continue;
    const float4 four =
        *reinterpret_cast<const float4*>(staged.sums + at * FirstStaged::kStride + column);
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
template <class Products>
__global__ void __launch_bounds__(kTileThreads, 2) conv2d_first_layer(const FirstWork work) {
  using T = typename Products::Element;
  struct Shared {
    FirstStaged staged;        // (kTileRows kTileColumns, kTileFilters) f32
    T table[3 * 256];          // (3, 256)
    alignas(16) T filters[8];  // and more: (kTileFilters, filter_stride); the patch (rows, columns, pixel)
  };
  GRAFT_SHARED(Shared, shared);
  const Photographs& photographs = work.photographs;
  T* patch = shared.filters + kTileFilters * filter_stride(photographs.chunks);
  const int n = int(blockIdx.y) * kTileFilters;
  load_filters(shared.filters, work, n);
  load_table<kTileThreads>(shared.table, photographs);
  __syncthreads();
  for (int i = int(blockIdx.x); i < photographs.tiles.count(); i += int(gridDim.x)) {
    const Pixel tile = photographs.tile(i);
    load_patch<kTileThreads>(patch, shared.table, work.conv.problem, photographs, tile);
    __syncthreads();
    typename Products::Sums sums = {};
    Products::multiply(sums, shared.filters, patch, work.conv.problem, photographs.chunks);
    Products::stage(shared.staged, sums);
    __syncthreads();  // also: the patch is no longer read
    finish_first_tile(work, shared.staged, tile, i, n);
    __syncthreads();
  }
}

size_t shared_bytes(const TapChunks& chunks) {
  const size_t filters = size_t(kTileFilters) * size_t(filter_stride(chunks));
  const size_t elements = 3 * 256 + filters + size_t(chunks.patch());
  return sizeof(FirstStaged) + elements * 16 / size_t(chunks.chunk);
}

template <class Products>
void launch_first(const FirstWork& work, Stream stream) {
  const size_t shared = shared_bytes(work.photographs.chunks);
  const int blocks = std::min(work.photographs.tiles.count(), 2 * multiprocessors());
  const int64_t filters = work.conv.problem.k;
  const dim3 grid(unsigned(blocks), unsigned((filters + kTileFilters - 1) / kTileFilters));
  launch(conv2d_first_layer<Products>, {grid, dim3(kTileThreads), shared, stream}, work);
}

}  // namespace

bool has_conv2d_first(GemmMath math, const Conv2dProblem& p) {
  return takes_photographs(p) &&
         shared_bytes(TapChunks(math, p)) <= device_info().shared_per_block;
}

TileGrid conv2d_first_moment_tiles(const Conv2dProblem& p) { return tiles_of_outputs(p); }

void conv2d_first(GemmMath math, const Conv2dProblem& p, const uint8_t* x,
                  const Normalization& normalization, const void* w, const ConvLastStep& last,
                  void* y, DType y_type, Stream stream) {
  if (!has_conv2d_first(math, p))
    throw std::invalid_argument("conv2d_first: three channels, no groups, no dilation, and filters "
                                "that fit into shared memory");
  const FirstWork work{conv_work(ConvPass::fprop, math, fprop_work(p, x, w, last, y, y_type)),
                       Photographs(math, p, x, normalization)};
  if (work.photographs.tiles.count() == 0 || p.k == 0) return;
  switch (math) {
    case GemmMath::f32:
      return launch_first<FloatProducts>(work, stream);
    case GemmMath::tf32:
      return launch_first<TensorProducts<float>>(work, stream);
    case GemmMath::bf16:
      return launch_first<TensorProducts<__nv_bfloat16>>(work, stream);
    case GemmMath::f16:
      return launch_first<TensorProducts<__half>>(work, stream);
  }
}

}  // namespace graft::cuda
