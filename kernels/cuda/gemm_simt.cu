// The f32 kernel itself, of the parts in gemm_simt.cuh. Every tiled product goes like this one:
//
//   which tile (M,N) of c is the block's?             tile_origin   gemm_block.cuh
//   steps of k: A (step,M), B (step,N) to shared,
//   multiplied there while the next are coming        run_ring      ring.cuh
//   sums from registers to shared (M,N)               stage_sums    gemm_simt.cuh
//   from there to c, with bias and activation         finish_tile   gemm_block.cuh
//
// Blocks: x counts tiles, z the parts of a split k. Not yet run on a GPU.
#include "kernels/cuda/gemm_simt.cuh"
#include "kernels/cuda/ring.cuh"

namespace graft::cuda {

template <int kTile>
__global__ void __launch_bounds__(kSimtTiles[kTile].threads(), kSimtTiles[kTile].blocks)
    gemm_simt(const GemmProblem p, const GemmWork work) {
  using Block = SimtBlock<kTile>;
  constexpr int kStep = Block::kStep;
  GRAFT_SHARED(typename Block::Shared, shared);
  const Block block;
  const TileOrigin at = tile_origin<Block::M, Block::N>(p.m, p.n, int(blockIdx.x));

  const int begin = int(blockIdx.z * work.part), end = int(min(p.k, begin + work.part));
  const FloatOperand a{
      static_cast<const float*>(p.a), p.a_stride, int(p.m), end, !p.transpose_a, work.vectors_a};
  const FloatOperand b{
      static_cast<const float*>(p.b), p.b_stride, int(p.n), end, p.transpose_b, work.vectors_b};
  const int steps = (end - begin + kStep - 1) / kStep;
  using Stage = typename Block::Stage;
  typename Block::Sums sums = {};
  run_ring(
      shared.stages, steps,
      [&](Stage& stage, int step) {
        stage.a.template load<Block::kThreads>(a, at.m, begin + step * kStep);
        stage.b.template load<Block::kThreads>(b, at.n, begin + step * kStep);
      },
      [&](const Stage& stage) { block.multiply_step(sums, stage); });
  block.stage_sums(shared.staged, sums);
  __syncthreads();
  finish_tile<Block::M, Block::N, Block::kThreads>(p, work, shared.staged, at);
}

template <int kTile>
static void launch_tile(const GemmProblem& p, const GemmWork& work, int splits, Stream stream) {
  using Block = SimtBlock<kTile>;
  launch(gemm_simt<kTile>,
         gemm_launch(p, Block::kShape, splits, sizeof(typename Block::Shared), stream), p, work);
}

void launch_simt_gemm(const GemmProblem& p, const GemmPlan& plan, const GemmWork& work, int splits,
                      Stream stream) {
  if (plan.tile == 0)
    launch_tile<0>(p, work, splits, stream);
  else
    launch_tile<1>(p, work, splits, stream);
}

}  // namespace graft::cuda
