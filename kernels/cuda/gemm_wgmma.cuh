// Matrix product on tensor cores, for Hopper: H100 and H200. Not yet run on a GPU. As in
// gemm_mma.cuh, k passes through a ring in shared memory. There every warp copies and multiplies;
// here one thread starts all copies, and two groups of four warps start all products:
//
//   warpgroup 0, one thread   global ──TMA──► shared: A (128,64) B (N,64)             box_tile.cuh
//   warpgroups 1 and 2        shared ──wgmma──► registers: sums (64,N) of each
//                             ──detour──► shared: sums (16,32) of a warp ──► c      gemm_block.cuh
//
// Who waits for whom is told in ring_barriers.cuh. A block computes one tile after the other, and
// copies for the next tile start while sums of the last are still being written.
//
// Two blocks may form a cluster, whose tiles lie one below the other and share B, for that is the
// larger factor of a tile. Each asks for A of its rows and for half of B:
//
//       B: half by block 0, half by block 1
//   A ┌──────────────────────────────────────┐   rows of 128 bytes that a block asks for in a step
//     │ tile of block 0                      │   of k, N = 256:   128 + 256 without a cluster
//   A ├──────────────────────────────────────┤                    128 + 128 with one
//     │ tile of block 1                      │
//     └──────────────────────────────────────┘
//
// Where the tiles below each other are odd in number, the last has no rows: its block gets zeros
// for A, does its share for B, and writes nothing.
//
// Sources: the sections on wgmma and cp.async.bulk.tensor of the PTX ISA; CUTLASS' warp-specialised
// persistent kernels (media/docs, efficient_gemm.md).
#pragma once
#include <algorithm>

#include "kernels/cuda/box_tile.cuh"
#include "kernels/cuda/gemm_block.cuh"
#include "kernels/cuda/ring_barriers.cuh"

namespace graft::cuda {

template <class T, int kTile, bool kDepthA, bool kDepthB>
struct WgmmaBlock {
  static constexpr GemmTile kShape = kWgmmaTiles[kTile];
  static constexpr int M = kShape.m, N = kShape.n, kStages = kShape.stages;
  static constexpr int kCluster = kShape.cluster;
  static constexpr int kStep = kShape.step_bytes / int(sizeof(T));    // of k
  static constexpr int kThreads = kShape.threads(), kWarps = M / 16;  // that multiply
  static constexpr int kPart = 32, kPartStride = kPart + 8;           // columns staged at a time
  static_assert(M == 128 && kThreads == 128 + 2 * 128 && kShape.step_bytes == 128);

  struct Stage {
    BoxTile<T, M, kDepthA> a;            // (M, 64), in boxes
    BoxTile<T, N, kDepthB, kCluster> b;  // (N, 64)
  };
  static_assert(sizeof(Stage) == (M + N) * kStep * sizeof(T), "what the copies bring, no more");
  struct Shared {
    Stage stages[kStages];
    alignas(16) float staged[kWarps][16 * kPartStride];  // (16, kPart) of each warp
    RingBarriers<kStages, kWarps, kCluster> barriers;
  };
  using Sums = float[N / 2];  // of a lane: rows g and g + 8 of its warp's 16, see ptx::wgmma_k16

  struct Item {  // of work: a tile, and a part of k
    TileOrigin at;
    int split, begin, steps;
  };

  template <class Do>
  static __device__ void each_item(const GemmProblem& p, const GemmWork& work, int splits,
                                   const Do& something) {
    constexpr int kRows = M * kCluster;  // of the tiles of a cluster
    const int tiles = int((p.m + kRows - 1) / kRows) * int((p.n + N - 1) / N);
    const int first = int(blockIdx.x) / kCluster, clusters = int(gridDim.x) / kCluster;
    for (int i = first; i < tiles * splits; i += clusters) {
      TileOrigin at = tile_origin<kRows, N>(p, i % tiles);
      if constexpr (kCluster > 1) at.m += int(ptx::cluster_rank()) * M;
      const int split = i / tiles, begin = int(split * work.part);
      const int end = int(min(p.k, begin + work.part));
      something(Item{at, split, begin, (end - begin + kStep - 1) / kStep});
    }
  }

  // One thread: brings every step of every tile of the block.
  static __device__ void copy_all(Shared& shared, const GemmProblem& p, const GemmWork& work,
                                  int splits, const TensorMap& a, const TensorMap& b) {
    RingPlace place;
    each_item(p, work, splits, [&](const Item& item) {
      for (int step = 0; step < item.steps; ++step, place.next(kStages)) {
        Stage& stage = shared.stages[place.stage];
        uint64_t* full = shared.barriers.expect(place, int(sizeof(Stage)));
        stage.a.load(a, item.at.m, item.begin + step * kStep, full);
        stage.b.load(b, item.at.n, item.begin + step * kStep, full);
      }
    });
  }

  // Starts the products of one step for the rows of a warpgroup.
  static __device__ void multiply_step(Sums& sums, const Stage& stage, int group) {
    ptx::wgmma_fence(sums);
#pragma unroll
    for (int block = 0; block < kStep / 16; ++block)
      ptx::wgmma_k16<T, !kDepthA, !kDepthB>(sums, stage.a.descriptor(64 * group, block),
                                            stage.b.descriptor(0, block));
    ptx::wgmma_commit();
  }

  // A warpgroup: multiplies every step, one step's products running while the next are started.
  static __device__ void multiply_all(Shared& shared, const GemmProblem& p, const GemmWork& work,
                                      int splits, int group) {
    const int warp = int(threadIdx.x) / 32 - 4;
    RingPlace place;
    each_item(p, work, splits, [&](const Item& item) {
      Sums sums = {};
      int running = -1;  // the stage that products still read
      auto release = [&] {
        if (running >= 0) shared.barriers.release(running);
      };
      for (int step = 0; step < item.steps; ++step, place.next(kStages)) {
        shared.barriers.wait(place);
        multiply_step(sums, shared.stages[place.stage], group);
        ptx::wgmma_wait<1>(sums);  // all but this step's
        release();
        running = place.stage;
      }
      ptx::wgmma_wait<0>(sums);
      release();
      finish(p, work, item, shared.staged[warp], sums, 16 * warp);
    });
  }

  // Columns `kPart * part` on of the sums of a warp -> staged (16, kPart).
  static __device__ void stage_part(float* staged, const Sums& sums, int part) {
    const int lane = int(threadIdx.x) % 32;
#pragma unroll
    for (int j = 0; j < N / 8; ++j) {  // all of them, for registers have no index
      if (j / (kPart / 8) != part) continue;
      float* at = staged + lane / 4 * kPartStride + j % (kPart / 8) * 8 + lane % 4 * 2;
      *reinterpret_cast<float2*>(at) = make_float2(sums[4 * j], sums[4 * j + 1]);
      *reinterpret_cast<float2*>(at + 8 * kPartStride) =
          make_float2(sums[4 * j + 2], sums[4 * j + 3]);
    }
  }

  // The sums of a warp, which has 16 rows of the tile from `row` on -> c.
  static __device__ void finish(const GemmProblem& p, const GemmWork& work, const Item& item,
                                float* staged, const Sums& sums, int row) {
    constexpr int kFours = kPart / 4;
#pragma unroll 1
    for (int part = 0; part < N / kPart; ++part) {
      stage_part(staged, sums, part);
      __syncwarp();
#pragma unroll 1
      for (int i = int(threadIdx.x) % 32; i < 16 * kFours; i += 32) {
        const int r = i / kFours, column = i % kFours * 4;
        finish_staged(p, work, item.split, item.at.m + row + r, item.at.n + part * kPart + column,
                      staged + r * kPartStride + column);
      }
      __syncwarp();  // before the next part is staged in the same place
    }
  }
};

// Registers of a thread: the copies need few, the sums of a warpgroup are up to 128. 168 is what
// 384 threads begin with, 128 * 40 + 256 * 232 is no more than the multiprocessor's 65536.
constexpr int kCopyRegisters = 40, kMultiplyRegisters = 232;

// a: (m,k) or (k,m), b: (n,k) or (k,n), as the copy engine is told about them.
template <class T, int kTile, bool kDepthA, bool kDepthB>
__global__ void __launch_bounds__(kWgmmaTiles[kTile].threads(), kWgmmaTiles[kTile].blocks)
    gemm_wgmma(const GemmProblem p, const GemmWork work, int splits,
               const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b) {
  if constexpr (ptx::kHopper) {
    using Block = WgmmaBlock<T, kTile, kDepthA, kDepthB>;
    GRAFT_SHARED(typename Block::Shared, shared);
    shared.barriers.begin();
    const int group = int(threadIdx.x) / 128;
    if (group == 0) {
      ptx::shrink_registers<kCopyRegisters>();
      if (threadIdx.x == 0) Block::copy_all(shared, p, work, splits, a, b);
    } else {
      ptx::grow_registers<kMultiplyRegisters>();
      Block::multiply_all(shared, p, work, splits, group - 1);
    }
    shared.barriers.end();
  }
}

template <class T, int kTile, bool kDepthA, bool kDepthB>
void launch_wgmma(const GemmProblem& p, const GemmWork& work, int splits, Stream stream) {
  using Block = WgmmaBlock<T, kTile, kDepthA, kDepthB>;
  using Stage = typename Block::Stage;
  const DType type = p.math == GemmMath::bf16 ? DType::bf16 : DType::f16;
  TensorMap a{}, b{};
  if (p.k > 0) {
    a = decltype(Stage::a)::map(type, p.a, p.m, p.k, p.a_stride);
    b = decltype(Stage::b)::map(type, p.b, p.n, p.k, p.b_stride);
  }
  Launch how = gemm_launch(p, Block::kShape, 1, sizeof(typename Block::Shared), stream);
  const unsigned slots = unsigned(multiprocessors()) / how.cluster * how.cluster;
  how.grid.x = std::min(how.grid.x * unsigned(splits), slots);
  launch(gemm_wgmma<T, kTile, kDepthA, kDepthB>, how, p, work, splits, a, b);
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
