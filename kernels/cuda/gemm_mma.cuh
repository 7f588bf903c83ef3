// Matrix product on tensor cores, for A100 and later (mma.sync). Not yet run on a GPU.
//
// A block computes one tile of c (M,N). k passes by in steps of 64 bytes; a ring of kStages steps
// is in shared memory, and while warps multiply one step, asynchronous copies bring the next ones:
//
//   global ──16-byte copies──► shared: A (M,step) B (N,step), swizzled      operand_tile.cuh
//          ──ldmatrix───────► registers: fragments 16 x 32 bytes
//          ──mma────────────► registers: sums (M / warps_m, N / warps_n) of each warp
//          ──detour─────────► shared: sums (M,N) ──► c, 4 elements a thread gemm_block.cuh
//
// Per step of 16 k a warp with 64 x 64 outputs loads 8 fragments for 32 products. A lane's sums of
// a 16 x 8 product are c[0..1]: row lane / 4, columns 2 (lane % 4) and the next; c[2..3]: 8 rows
// below.
#pragma once
#include "kernels/cuda/gemm_block.cuh"
#include "kernels/cuda/operand_tile.cuh"
#include "kernels/cuda/ring.cuh"

namespace graft::cuda {

template <class T>
__device__ void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  if constexpr (sizeof(T) == 4)
    ptx::mma_m16n8k8_tf32(c, a, b0, b1);
  else
    ptx::mma_m16n8k16<T>(c, a, b0, b1);
}

// A fragment of f32 must be rounded: the tensor core itself cuts off what tf32 has no room for.
template <class T>
__device__ void round_fragment(uint32_t (&r)[4]) {
  if constexpr (sizeof(T) == 4)
    for (uint32_t& word : r) word = ptx::round_to_tf32(word);
}

// kDepthA, kDepthB: the operand is contiguous along k. With kNarrow both are so in shared memory,
// whatever they are in global memory.
template <class T, int kTile, bool kDepthA, bool kDepthB, bool kNarrow>
struct MmaBlock {
  static constexpr GemmTile kShape = kTensorTiles[kTile];
  static constexpr int M = kShape.m, N = kShape.n, kStages = kShape.stages;
  static constexpr int kThreads = kShape.threads();
  static constexpr int kStep = kShape.step_bytes / int(sizeof(T));  // of k
  static constexpr int kFragments = kShape.step_bytes / 32;         // in a step
  static constexpr int kWarpM = M / kShape.warps_m / 16;            // fragments of A of a warp
  static constexpr int kWarpN = N / kShape.warps_n / 16;            // and of B

  struct Stage {
    OperandTile<T, M, kStep, kDepthA> a;  // (M, kStep), or (kStep, M) where A is stored so
    OperandTile<T, N, kStep, kDepthB> b;  // (N, kStep) or (kStep, N)
  };
  union Shared {
    Stage stages[kStages];
    StagedTile<M, N> staged;  // (M, N), when the ring is no longer read
  };
  using Sums = float[kWarpM][2 * kWarpN][4];  // of a lane: 4 of each product of 16 x 8

  static __device__ void load(Stage& stage, const GemmProblem& p, const Operand& a,
                              const Operand& b, TileOrigin at, int k) {
    if constexpr (kNarrow) {
      stage.a.template load_narrow<kThreads>(a, p.transpose_a, at.m, k);
      stage.b.template load_narrow<kThreads>(b, !p.transpose_b, at.n, k);
    } else {
      stage.a.template load<kThreads>(a, at.m, k);
      stage.b.template load<kThreads>(b, at.n, k);
    }
  }

  static __device__ void multiply_step(Sums& sums, const Stage& stage, int warp_m, int warp_n) {
#pragma unroll
    for (int block = 0; block < kFragments; ++block) {
      uint32_t a[kWarpM][4], b[kWarpN][4];  // fragments of 16 x 32 bytes, a lane's four words
#pragma unroll
      for (int i = 0; i < kWarpM; ++i) {
        stage.a.fragment(a[i], (warp_m * kWarpM + i) * 16, block);
        round_fragment<T>(a[i]);
      }
#pragma unroll
      for (int j = 0; j < kWarpN; ++j) {
        stage.b.fragment(b[j], (warp_n * kWarpN + j) * 16, block);
        round_fragment<T>(b[j]);
      }
#pragma unroll
      for (int i = 0; i < kWarpM; ++i)
#pragma unroll
        for (int j = 0; j < kWarpN; ++j) {
          multiply<T>(sums[i][2 * j], a[i], b[j][0], b[j][2]);
          multiply<T>(sums[i][2 * j + 1], a[i], b[j][1], b[j][3]);
        }
    }
  }

  static __device__ void stage_sums(StagedTile<M, N>& staged, const Sums& sums, int warp_m,
                                    int warp_n) {
    const int lane = int(threadIdx.x) % 32;
#pragma unroll
    for (int i = 0; i < kWarpM; ++i)
#pragma unroll
      for (int j = 0; j < 2 * kWarpN; ++j)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int row = (warp_m * kWarpM + i) * 16 + lane / 4 + half * 8;
          const int column = (warp_n * 2 * kWarpN + j) * 8 + lane % 4 * 2;
          *reinterpret_cast<float2*>(staged.sums + row * StagedTile<M, N>::kStride + column) =
              make_float2(sums[i][j][2 * half], sums[i][j][2 * half + 1]);
        }
  }
};

// Blocks: x counts tiles, z the parts of a split k.
template <class T, int kTile, bool kDepthA, bool kDepthB, bool kNarrow>
__global__ void __launch_bounds__(kTensorTiles[kTile].threads(), kTensorTiles[kTile].blocks)
    gemm_mma(const GemmProblem p, const GemmWork work) {
  using Block = MmaBlock<T, kTile, kDepthA, kDepthB, kNarrow>;
  constexpr int kStep = Block::kStep;
  GRAFT_SHARED(typename Block::Shared, shared);
  const int warp = int(threadIdx.x) / 32;
  const int warp_m = warp % Block::kShape.warps_m, warp_n = warp / Block::kShape.warps_m;
  const TileOrigin at = tile_origin<Block::M, Block::N>(p.m, p.n, int(blockIdx.x));

  const int begin = int(blockIdx.z * work.part), end = int(min(p.k, begin + work.part));
  const Operand a{p.a, p.a_stride, int(p.m), end}, b{p.b, p.b_stride, int(p.n), end};
  const int steps = (end - begin + kStep - 1) / kStep;
  using Stage = typename Block::Stage;
  typename Block::Sums sums = {};
  run_ring(
      shared.stages, steps,
      [&](Stage& stage, int step) { Block::load(stage, p, a, b, at, begin + step * kStep); },
      [&](const Stage& stage) { Block::multiply_step(sums, stage, warp_m, warp_n); });
  Block::stage_sums(shared.staged, sums, warp_m, warp_n);
  __syncthreads();
  finish_tile<Block::M, Block::N, Block::kThreads>(p, work, shared.staged, at);
}

template <class T, int kTile, bool kDepthA, bool kDepthB, bool kNarrow = false>
void launch_mma(const GemmProblem& p, const GemmWork& work, int splits, Stream stream) {
  using Block = MmaBlock<T, kTile, kDepthA, kDepthB, kNarrow>;
  launch(gemm_mma<T, kTile, kDepthA, kDepthB, kNarrow>,
         gemm_launch(p, Block::kShape, splits, sizeof(typename Block::Shared), stream), p, work);
}

template <class T, int kTile>
void launch_aligned(const GemmProblem& p, const GemmWork& work, int splits, Stream stream) {
  const bool depth_a = !p.transpose_a, depth_b = p.transpose_b;
  if (depth_a && depth_b)
    launch_mma<T, kTile, true, true>(p, work, splits, stream);
  else if (depth_a)
    launch_mma<T, kTile, true, false>(p, work, splits, stream);
  else if (depth_b)
    launch_mma<T, kTile, false, true>(p, work, splits, stream);
  else
    launch_mma<T, kTile, false, false>(p, work, splits, stream);
}

// The kernels of one element type; instantiated in gemm_mma_<type>.cu.
template <class T>
void launch_tensor_gemm(const GemmProblem& p, const GemmPlan& plan, const GemmWork& work,
                        int splits, Stream stream) {
  switch (plan.tile) {
    case 0:
      return launch_aligned<T, 0>(p, work, splits, stream);
    case 1:
      return launch_aligned<T, 1>(p, work, splits, stream);
    case 2:
      return launch_aligned<T, 2>(p, work, splits, stream);
    default:
      return launch_mma<T, kNarrowTile, true, true, true>(p, work, splits, stream);
  }
}

}  // namespace graft::cuda
