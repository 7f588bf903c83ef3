// Convolution on tensor cores: ring and products of gemm_mma.cuh, fed by the gathering loads of
// conv2d_operands.cuh, of what is there or of what a norm makes of it. Not yet run on a GPU.
//
//             A (M,step) or (step,M)          B (N,step) or (step,N) in shared memory
//   fprop     PixelRows of x                  FilterColumns of w
//   dgrad     PixelRows of dy                 FilterRows of w
//   wgrad     GradientColumns of dy           TapColumns of x
//
// Blocks: x counts tiles, y groups and phases, z the parts of a split depth.
#pragma once
#include "kernels/cuda/conv2d_block.cuh"
#include "kernels/cuda/conv2d_grid.cuh"
#include "kernels/cuda/conv2d_norm.cuh"
#include "kernels/cuda/gemm_mma.cuh"

namespace graft::cuda {

// dy of wgrad as it lies: outer is K, depth is pixels.
template <class T, int kOuter, int kDepth, int kThreads>
struct GradientColumns {
  using Tile = OperandTile<T, kOuter, kDepth, false>;
  Operand dy;  // (pixels, K)
  int outer, depth;

  __device__ void load(Tile& tile) {
    tile.template load<kThreads>(dy, outer, depth);
    depth += kDepth;
  }
};

// w of fprop as it lies: outer is K, depth is taps x C.
template <class T, int kOuter, int kDepth, int kThreads>
struct FilterColumns {
  using Tile = OperandTile<T, kOuter, kDepth, true>;
  Operand w;  // (K, taps C)
  int outer, depth;

  __device__ void load(Tile& tile) {
    tile.template load<kThreads>(w, outer, depth);
    depth += kDepth;
  }
};

// The gathered image, which a norm may come before: of fprop and wgrad, where a block is of a group.
template <class T, class Block, class Loader>
__device__ auto normalized(const ConvWork& c, const Loader& from) {
  const int group = int(blockIdx.y) * from.x.channels;
  if constexpr (sizeof(T) == 2)
    return ChunkNorm<T, Loader, Block::kStages>(c.norm, from, group);
  else
    return from;
}

template <ConvPass kPass, class T, class Block>
__device__ auto load_a(const ConvWork& c, const ConvPart<kPass>& part, TileOrigin at, int begin,
                       int end) {
  constexpr int M = Block::M, kStep = Block::kStep, kThreads = Block::kThreads;
  using Rows = PixelRows<T, M, kStep, kThreads>;
  if constexpr (kPass == ConvPass::wgrad)
    return GradientColumns<T, M, kStep, kThreads>{{part.dy, part.dy_stride, part.m, end}, at.m,
                                                  begin};
  else if constexpr (kPass == ConvPass::dgrad)
    return Rows(part.x, part.grid, at.m, begin);
  else
    return normalized<T, Block>(c, Rows(part.x, part.grid, at.m, begin));
}

template <ConvPass kPass, class T, class Block>
__device__ auto load_b(const ConvWork& c, const ConvPart<kPass>& part, TileOrigin at, int begin,
                       int end) {
  constexpr int N = Block::N, kStep = Block::kStep, kThreads = Block::kThreads;
  if constexpr (kPass == ConvPass::fprop)
    return FilterColumns<T, N, kStep, kThreads>{{part.f.data, part.depth, part.n, end}, at.n, begin};
  else if constexpr (kPass == ConvPass::dgrad)
    return FilterRows<T, N, kStep, kThreads>(part.f, part.x, c.by_channels, at.n, begin);
  else
    return normalized<T, Block>(
        c, TapColumns<T, N, kStep, kThreads>(part.x, part.grid, at.n, begin));
}

// Element by element, for channels that do not come in chunks of 16 bytes; neighbouring threads
// read neighbouring elements of depth. Slow, and only for those.
template <class T, int kOuter, int kDepth, int kThreads, class Offset>
__device__ void load_elements(OperandTile<T, kOuter, kDepth, true>& tile, const void* data,
                              int outer, int depth, const Offset& offset) {
  for (int i = int(threadIdx.x); i < kOuter * kDepth; i += kThreads) {
    const int o = i / kDepth, d = i % kDepth;
    const int64_t at = offset(outer + o, depth + d);
    const T* source = static_cast<const T*>(data) + (at < 0 ? 0 : at);
    T* target = tile.elements + tile.place(o, d / tile.kPerChunk) + d % tile.kPerChunk;
    if constexpr (sizeof(T) == 4)
      ptx::copy_async<4>(target, source, at < 0 ? 0 : 4);
    else
      *target = at < 0 ? T(0.0f) : *source;
  }
}

template <ConvPass kPass, class T, int kTile, bool kChunks>
__global__ void __launch_bounds__(kTensorTiles[kTile].threads(), kTensorTiles[kTile].blocks)
    conv2d_mma(const ConvWork c) {
  constexpr bool kDepthA = !kChunks || kPass != ConvPass::wgrad;
  constexpr bool kDepthB = !kChunks || kPass == ConvPass::fprop;
  using Block = MmaBlock<T, kTile, kDepthA, kDepthB, !kChunks>;
  constexpr int kStep = Block::kStep, kThreads = Block::kThreads;
  GRAFT_SHARED(typename Block::Shared, shared);
  const int warp = int(threadIdx.x) / 32;
  const int warp_m = warp % Block::kShape.warps_m, warp_n = warp / Block::kShape.warps_m;
  const ConvPart<kPass> part(c, int(blockIdx.y));
  const TileOrigin at = conv_tile<Block::M, Block::N>(c);
  if (at.m >= part.m) return finish_empty_tile<kPass, Block::M, Block::N>(c, part, at);

  const int begin = int(min(blockIdx.z * c.part, int64_t(part.depth)));
  const int end = int(min(begin + c.part, int64_t(part.depth)));
  const int steps = (end - begin + kStep - 1) / kStep;
  using Stage = typename Block::Stage;
  typename Block::Sums sums = {};
  auto multiply = [&](const Stage& stage) { Block::multiply_step(sums, stage, warp_m, warp_n); };
  if constexpr (kChunks) {
    auto a = load_a<kPass, T, Block>(c, part, at, begin, end);
    auto b = load_b<kPass, T, Block>(c, part, at, begin, end);
    auto bring = [&](Stage& stage, int step) {
      start_copies(a, stage.a, step);
      start_copies(b, stage.b, step);
    };
    auto prepare = [&](Stage& stage, int step) {
      finish_copies(a, stage.a, step);
      finish_copies(b, stage.b, step);
    };
    run_ring(shared.stages, steps, bring, prepare, multiply);
  } else {
    auto a = [&](int outer, int depth) { return part.a(outer, depth, c.by_channels); };
    auto b = [&](int outer, int depth) { return part.b(outer, depth, c.by_channels); };
    auto bring = [&](Stage& stage, int step) {
      const int depth = begin + step * kStep;
      load_elements<T, Block::M, kStep, kThreads>(stage.a, part.a_data(), at.m, depth, a);
      load_elements<T, Block::N, kStep, kThreads>(stage.b, part.b_data(), at.n, depth, b);
    };
    run_ring(shared.stages, steps, bring, multiply);
  }
  Block::stage_sums(shared.staged, sums, warp_m, warp_n);
  __syncthreads();
  finish_conv_tile<kPass, Block::M, Block::N, kThreads>(c, part, shared.staged, at);
}

template <ConvPass kPass, class T, int kTile, bool kChunks>
void launch_conv_tile(const ConvWork& c, int splits, Stream stream) {
  constexpr bool kDepthA = !kChunks || kPass != ConvPass::wgrad;
  constexpr bool kDepthB = !kChunks || kPass == ConvPass::fprop;
  using Block = MmaBlock<T, kTile, kDepthA, kDepthB, !kChunks>;
  launch(conv2d_mma<kPass, T, kTile, kChunks>,
         conv_launch(c, Block::kShape, splits, sizeof(typename Block::Shared), stream), c);
}

template <ConvPass kPass, class T>
void launch_conv_pass(const ConvWork& c, const GemmPlan& plan, bool chunks, int splits,
                      Stream stream) {
  if (!chunks) return launch_conv_tile<kPass, T, kNarrowTile, false>(c, splits, stream);
  switch (plan.tile) {
    case 0:
      return launch_conv_tile<kPass, T, 0, true>(c, splits, stream);
    case 1:
      return launch_conv_tile<kPass, T, 1, true>(c, splits, stream);
    default:
      return launch_conv_tile<kPass, T, 2, true>(c, splits, stream);
  }
}

// The kernels of one element type; instantiated in conv2d_mma_<type>.cu.
template <class T>
void launch_tensor_conv(ConvPass pass, const ConvWork& c, const GemmPlan& plan, bool chunks,
                        int splits, Stream stream) {
  switch (pass) {
    case ConvPass::fprop:
      return launch_conv_pass<ConvPass::fprop, T>(c, plan, chunks, splits, stream);
    case ConvPass::dgrad:
      return launch_conv_pass<ConvPass::dgrad, T>(c, plan, chunks, splits, stream);
    case ConvPass::wgrad:
      return launch_conv_pass<ConvPass::wgrad, T>(c, plan, chunks, splits, stream);
  }
}

}  // namespace graft::cuda
