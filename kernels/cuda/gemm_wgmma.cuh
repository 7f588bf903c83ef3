// Matrix product on tensor cores, for Hopper: H100 and H200. Not yet run on a GPU. Its boxes are
// those of two matrices in memory; the rest is wgmma_block.cuh.
//
//   a (m,k) or (k,m), b (n,k) or (k,n) ──► boxes of 64 of k ──► sums ──► c (m,n)    gemm_block.cuh
#pragma once
#include "kernels/cuda/wgmma_block.cuh"

namespace graft::cuda {

// Registers of a thread: the copies need few, the sums of a warpgroup are up to 128. 168 is what
// 384 threads begin with.
constexpr int kCopyRegisters = 40, kMultiplyRegisters = 232;

// The boxes of a tile, 64 of k further in each step.
template <class Stage>
struct GemmBoxes {
  static constexpr int kStep = decltype(Stage::a)::kDepth;
  const TensorMap &a, &b;
  TileOrigin at{};
  int depth = 0;

  __device__ void begin(TileOrigin tile, int step) { at = tile, depth = step * kStep; }
  __device__ void bring(Stage& stage, uint64_t* full) {
    stage.a.load(a, at.m, depth, full);
    stage.b.load(b, at.n, depth, full);
    depth += kStep;
  }
};

// With what is noted of c by the 256 threads that multiply, 32 columns at a time.
template <class T, int kTile, bool kDepthA, bool kDepthB>
struct GemmWgmmaBlock : WgmmaBlock<T, kTile, kDepthA, kDepthB> {
  using Base = WgmmaBlock<T, kTile, kDepthA, kDepthB>;
  using Notes = GemmNotes<32, 32, PartOfBlock<128, 256>>;
  static_assert(Base::kPart == 32 && Base::kFirst == 128 && 32 * Base::kWarps == 256);
  struct Shared : Base::Shared {
    typename Notes::Parts notes;
  };

  // Sums (16,32) of a warp -> c.
  static __device__ void finish(Shared& shared, const GemmProblem& p, const GemmWork& work,
                                const typename Base::Item& item, int row, int column,
                                const float* staged) {
    Notes notes;
    Base::each_four(staged, [&](int r, int across, const float* four) {
      finish_staged(p, work, item.split, row + r, column + across, four, notes);
    });
    if (notes.wanted(p, work) && item.at.m < p.m && column < p.n)
      notes.store(shared.notes, p, item.at.m / Base::M, column);
  }
};

// a: (m,k) or (k,m), b: (n,k) or (k,n), as the copy engine is told about them.
template <class T, int kTile, bool kDepthA, bool kDepthB>
__global__ void __launch_bounds__(kWgmmaTiles[kTile].threads(), kWgmmaTiles[kTile].blocks)
    gemm_wgmma(const GemmProblem p, const GemmWork work, const WgmmaWork shares,
               const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b) {
  if constexpr (ptx::kHopper) {
    using Block = GemmWgmmaBlock<T, kTile, kDepthA, kDepthB>;
    GRAFT_SHARED(typename Block::Shared, shared);
    auto finish = [&](const typename Block::Item& item, int row, int column, const float* staged) {
      Block::finish(shared, p, work, item, row, column, staged);
    };
    Block::template run<kCopyRegisters, kMultiplyRegisters>(
        shared, shares, GemmBoxes<typename Block::Stage>{a, b}, finish);
  }
}

template <class T, int kTile, bool kDepthA, bool kDepthB>
void launch_wgmma(const GemmProblem& p, const GemmWork& work, int splits, Stream stream) {
  using Block = GemmWgmmaBlock<T, kTile, kDepthA, kDepthB>;
  using Stage = typename Block::Stage;
  const DType type = p.math == GemmMath::bf16 ? DType::bf16 : DType::f16;
  TensorMap a{}, b{};
  if (p.k > 0) {
    a = decltype(Stage::a)::map(type, p.a, p.m, p.k, p.a_stride);
    b = decltype(Stage::b)::map(type, p.b, p.n, p.k, p.b_stride);
  }
  const WgmmaWork shares{.m = int(p.m),
                         .n = int(p.n),
                         .steps = int((p.k + Block::kStep - 1) / Block::kStep),
                         .steps_each = int(work.part / Block::kStep),
                         .splits = splits};
  launch(gemm_wgmma<T, kTile, kDepthA, kDepthB>,
         Block::launch_of(shares, sizeof(typename Block::Shared), stream), p, work, shares, a, b);
}

template <class T, int kTile>
void launch_wgmma_tile(const GemmProblem& p, const GemmWork& work, int splits, Stream stream) {
  const bool depth_a = !p.transpose_a, depth_b = p.transpose_b;
  if (depth_a && depth_b)
    launch_wgmma<T, kTile, true, true>(p, work, splits, stream);
  else if (depth_a)
    launch_wgmma<T, kTile, true, false>(p, work, splits, stream);
  else if (depth_b)
    launch_wgmma<T, kTile, false, true>(p, work, splits, stream);
  else
    launch_wgmma<T, kTile, false, false>(p, work, splits, stream);
}

// The kernels of one element type; instantiated in gemm_wgmma_<type>.cu.
template <class T>
void launch_wgmma_gemm(const GemmProblem& p, const GemmPlan& plan, const GemmWork& work, int splits,
                       Stream stream) {
  static_assert(kWgmmaTileCount == 3);
  if (plan.tile == 0)
    launch_wgmma_tile<T, 0>(p, work, splits, stream);
  else if (plan.tile == 1)
    launch_wgmma_tile<T, 1>(p, work, splits, stream);
  else
    launch_wgmma_tile<T, 2>(p, work, splits, stream);
}

}  // namespace graft::cuda
