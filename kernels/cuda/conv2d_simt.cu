// Convolution in f32 throughout, on the ordinary units: the multiplication of gemm_simt.cuh, with
// tiles A (step,M) and B (step,N), fed element by element. Each asks ConvPart (conv2d_block.cuh)
// where it is in x, w or dy; outside it is zero.
//
// Blocks: x counts tiles, y groups and phases, z the parts of a split depth. Not yet run on a GPU.
#include "kernels/cuda/conv2d_block.cuh"
#include "kernels/cuda/conv2d_grid.cuh"
#include "kernels/cuda/gemm_simt.cuh"
#include "kernels/cuda/ring.cuh"

namespace graft::cuda {

// Neighbouring threads read neighbouring elements: of depth (channels of a tap), or of outer.
template <int kThreads, bool kDepthFirst, int kOuter, int kStep, class Offset>
__device__ void load_floats(DepthMajorTile<kOuter, kStep>& tile, const void* data, int outer,
                            int depth, const Offset& offset) {
#pragma unroll 1
  for (int i = int(threadIdx.x); i < kOuter * kStep; i += kThreads) {
    const int o = kDepthFirst ? i / kStep : i % kOuter, d = kDepthFirst ? i % kStep : i / kOuter;
    const int64_t at = offset(outer + o, depth + d);
    ptx::copy_async<4>(tile.elements + d * tile.kStride + o,
                       static_cast<const float*>(data) + (at < 0 ? 0 : at), at < 0 ? 0 : 4);
  }
}

template <ConvPass kPass, int kTile>
__global__ void __launch_bounds__(kSimtTiles[kTile].threads(), kSimtTiles[kTile].blocks)
    conv2d_simt(const ConvWork c) {
  using Block = SimtBlock<kTile>;
  constexpr int kStep = Block::kStep, kThreads = Block::kThreads;
  GRAFT_SHARED(typename Block::Shared, shared);
  const Block block;
  const ConvPart<kPass> part(c, int(blockIdx.y));
  const TileOrigin at = conv_tile<Block::M, Block::N>(c);
  if (at.m >= part.m) return finish_empty_tile<kPass, Block::M, Block::N>(c, part, at);

  const int begin = int(min(blockIdx.z * c.part, int64_t(part.depth)));
  const int end = int(min(begin + c.part, int64_t(part.depth)));
  const int steps = (end - begin + kStep - 1) / kStep;
  using Stage = typename Block::Stage;
  typename Block::Sums sums = {};
  auto bring = [&](Stage& stage, int step) {
    const int depth = begin + step * kStep;
    load_floats<kThreads, kPass != ConvPass::wgrad>(
        stage.a, part.a_data(), at.m, depth,
        [&](int o, int d) { return part.a(o, d, c.by_channels); });
    load_floats<kThreads, kPass == ConvPass::fprop>(
        stage.b, part.b_data(), at.n, depth,
        [&](int o, int d) { return part.b(o, d, c.by_channels); });
  };
  run_ring(shared.stages, steps, bring,
           [&](const Stage& stage) { block.multiply_step(sums, stage); });
  block.stage_sums(shared.staged, sums);
  __syncthreads();
  finish_conv_tile<kPass, Block::M, Block::N, kThreads>(c, part, shared.staged, at);
}

template <ConvPass kPass, int kTile>
static void launch_tile(const ConvWork& c, int splits, Stream stream) {
  using Block = SimtBlock<kTile>;
  launch(conv2d_simt<kPass, kTile>,
         conv_launch(c, Block::kShape, splits, sizeof(typename Block::Shared), stream), c);
}

template <ConvPass kPass>
static void launch_pass(const ConvWork& c, const GemmPlan& plan, int splits, Stream stream) {
  if (plan.tile == 0)
    launch_tile<kPass, 0>(c, splits, stream);
  else
    launch_tile<kPass, 1>(c, splits, stream);
}

void launch_simt_conv(ConvPass pass, const ConvWork& c, const GemmPlan& plan, int splits,
                      Stream stream) {
  switch (pass) {
    case ConvPass::fprop:
      return launch_pass<ConvPass::fprop>(c, plan, splits, stream);
    case ConvPass::dgrad:
      return launch_pass<ConvPass::dgrad>(c, plan, splits, stream);
    case ConvPass::wgrad:
      return launch_pass<ConvPass::wgrad>(c, plan, splits, stream);
  }
}

}  // namespace graft::cuda
