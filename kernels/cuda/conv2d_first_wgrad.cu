// The gradient of the first layer's filters, from the photographs as they are decoded, which are
// normalised on their way into shared memory (conv2d_first.cuh). Not yet run on a GPU.
//
// A matrix product: m is filters, n the elements of a filter, depth the outputs. In a patch the
// chunks that neighbouring outputs read at one tap are the rows of a matrix: no tap is copied.
//
//   dy (128 outputs, 64), of a tile  ┐
//   patch (rows, columns, pixel)     ┴─► sums (64, chunks of taps)   conv2d_first_wgrad_products.cuh
//
// A block has 64 filters and a part of the chunks, in bf16 up to 28; it goes from tile to tile and
// keeps its sums in registers. At last they become partial (blocks, k, r, s, 3), which a second
// kernel adds in a fixed order: the same bits every time. While a tile is multiplied, dy of the next
// is on its way. Memory, in bf16: 3 bytes for each pixel, 2 K for each output; at 64 filters dy is
// all that counts.
#include <algorithm>
#include <stdexcept>

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/conv2d_first_wgrad_products.cuh"
#include "kernels/cuda/conv2d_launch.h"

namespace graft::cuda {
namespace {

constexpr int kStages = 2;

struct FirstGradient {  // a kernel's parameter
  ConvWork conv;        // a: dy (n, out_h, out_w, k); partial (gridDim.x, k, r, s, 3)
  Photographs photographs;
  int chunks;    // of a block, at most
  bool vectors;  // of dy 16 bytes at a time
};

// dy of the tile's outputs and of the filters from m on -> (kTileDepth, kTileFilters); zeros beyond
// the last.
template <class T>
__device__ void load_gradients(Gradients<T>& to, const FirstGradient& work, const Pixel& tile,
                               int m) {
  using Tile = Gradients<T>;
  const TileGrid& outputs = work.photographs.tiles;
  const int filters = int(work.conv.problem.k);
  const int chunk = int(threadIdx.x) % Tile::kChunks, k = m + chunk * Tile::kPerChunk;
  const T* dy = static_cast<const T*>(work.conv.a);
#pragma unroll
  for (int i = 0; i < kTileDepth * Tile::kChunks / kTileThreads; ++i) {
    const int at = int(threadIdx.x) / Tile::kChunks + i * (kTileThreads / Tile::kChunks);
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

// dy (n, out_h, out_w, k), pixels (n, h, w, 3) -> partial (gridDim.x, k, r, s, 3).
// Blocks: x goes from tile to tile, y is 64 filters, z a part of the chunks.
template <class Products>
__global__ void __launch_bounds__(kTileThreads, 2) conv2d_first_gradient(const FirstGradient work) {
  using T = typename Products::Element;
  struct Shared {
    Gradients<T> dy[kStages];  // (kTileDepth, kTileFilters)
    T table[3 * 256];          // (3, 256)
    alignas(16) T patches[8];  // and more: (kStages, rows, columns, pixel)
  };
  GRAFT_SHARED(Shared, shared);
  const Photographs& photographs = work.photographs;
  const Conv2dProblem& p = work.conv.problem;
  const int m = int(blockIdx.y) * kTileFilters, first = int(blockIdx.z) * work.chunks;
  const int end = min(first + work.chunks, photographs.chunks.count);
  const int blocks = int(gridDim.x), block = int(blockIdx.x);
  const int steps = (photographs.tiles.count() - block + blocks - 1) / blocks;
  auto patch = [&](const Gradients<T>& dy) {
    return shared.patches + (&dy - shared.dy) * photographs.chunks.patch();
  };
  auto bring = [&](Gradients<T>& dy, int step) {
    const Pixel tile = photographs.tile(block + step * blocks);
    load_gradients(dy, work, tile, m);
    load_patch<kTileThreads>(patch(dy), shared.table, p, photographs, tile);
  };
  Products products(p, photographs.chunks, first, end);
  auto multiply = [&](const Gradients<T>& dy) { products.add(dy, patch(dy)); };
  load_table<kTileThreads>(shared.table, photographs);
  __syncthreads();
  run_ring(shared.dy, steps, bring, multiply);
  float* partial = work.conv.partial + block * (p.k * p.r * p.s * 3);
  products.store({p, photographs.chunks, partial, m, first, end});
}

struct WriteGradient {
  float* dw;  // (k r s 3)
  __device__ void operator()(int64_t i, const double (&sum)[1]) const { dw[i] = float(sum[0]); }
};

size_t shared_bytes(const TapChunks& chunks) {
  const size_t gradients = size_t(kStages * kTileDepth * kTileFilters);
  return (gradients + 3 * 256 + size_t(kStages * chunks.patch())) * 16 / size_t(chunks.chunk);
}

int divide_up(int a, int b) { return (a + b - 1) / b; }

template <class Products>
void launch_gradient(FirstGradient work, Stream stream) {
  const Conv2dProblem& p = work.conv.problem;
  const TapChunks& chunks = work.photographs.chunks;
  const int64_t elements = p.k * p.r * p.s * 3;
  const int down = divide_up(int(p.k), kTileFilters);
  const int across = divide_up(chunks.count, Products::kMostChunks);
  const int tiles = std::max(work.photographs.tiles.count(), 1);
  const int blocks = std::clamp(2 * multiprocessors() / (down * across), 1, tiles);
  Scratch partial(size_t(blocks) * size_t(elements) * sizeof(float), stream);
  work.conv.partial = partial.data<float>();
  work.chunks = divide_up(chunks.count, across);
  launch(conv2d_first_gradient<Products>,
         {dim3(unsigned(blocks), unsigned(down), unsigned(across)), dim3(kTileThreads),
          shared_bytes(chunks), stream},
         work);
  finish_sums<1, kBlock>(blocks, elements, work.conv.partial,
                         WriteGradient{static_cast<float*>(work.conv.out)}, stream);
}

}  // namespace

bool has_conv2d_first_wgrad(GemmMath math, const Conv2dProblem& p) {
  return takes_photographs(p) &&
         shared_bytes(TapChunks(math, p)) <= device_info().shared_per_block;
}

void conv2d_first_wgrad(GemmMath math, const Conv2dProblem& p, const uint8_t* x,
                        const Normalization& normalization, const void* dy, float* dw,
                        Stream stream) {
  if (!has_conv2d_first_wgrad(math, p))
    throw std::invalid_argument("conv2d_first_wgrad: three channels, no groups, no dilation, and "
                                "pixels that fit into shared memory");
  const ConvWork conv = conv_work(
      ConvPass::wgrad, math,
      {.problem = p, .a = dy, .b = x, .out = dw, .out_type = DType::f32});
  const FirstGradient work{.conv = conv,
                           .photographs = Photographs(math, p, x, normalization),
                           .chunks = 0,
                           .vectors = p.k * element_size(math) % 16 == 0 && aligned({dy})};
  if (p.k == 0) return;
  switch (math) {
    case GemmMath::f32:
      return launch_gradient<FloatGradients>(work, stream);
    case GemmMath::tf32:
      return launch_gradient<TensorGradients<float>>(work, stream);
    case GemmMath::bf16:
      return launch_gradient<TensorGradients<__nv_bfloat16>>(work, stream);
    case GemmMath::f16:
      return launch_gradient<TensorGradients<__half>>(work, stream);
  }
}

}  // namespace graft::cuda
