// A block's share of a matrix product on Hopper's tensor cores (H100, H200), whatever its matrices
// are: gemm_wgmma.cuh, conv2d_wgmma.cuh. Not yet run on a GPU. As in gemm_mma.cuh, k passes through
// a ring in shared memory. There every warp copies and multiplies; here one thread starts all
// copies, and two groups of four warps start all products:
//
//   warpgroup 0, one thread   global ──TMA──► shared: A (128,64) B (N,64)             box_tile.cuh
//   warpgroups 1 and 2        shared ──wgmma──► registers: sums (64,N) of each
//                             ──detour──► shared: sums (16,32) of a warp ──► what the product
//                                                                            makes of them
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

struct WgmmaWork {  // of all blocks: the tiles of c (m,n), and for each k in steps, cut into splits
  int m, n;
  int steps, steps_each;  // of the whole k; of a split, the last of which may have fewer
  int splits;
};

template <class T, int kTile, bool kDepthA, bool kDepthB>
struct WgmmaBlock {
  static constexpr GemmTile kShape = kWgmmaTiles[kTile];
  static constexpr int M = kShape.m, N = kShape.n, kStages = kShape.stages;
  static constexpr int kCluster = kShape.cluster;
  static constexpr int kStep = kShape.step_bytes / int(sizeof(T));    // of k
  static constexpr int kThreads = kShape.threads(), kWarps = M / 16;  // that multiply
  static constexpr int kFirst = kThreads - 32 * kWarps;               // thread of those warps
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
    int split, begin, steps;  // the first step and how many
  };

  template <class Do>
  static __device__ void each_item(const WgmmaWork& work, const Do& something) {
    constexpr int kRows = M * kCluster;  // of the tiles of a cluster
    const int tiles = (work.m + kRows - 1) / kRows * ((work.n + N - 1) / N);
    const int first = int(blockIdx.x) / kCluster, clusters = int(gridDim.x) / kCluster;
    for (int i = first; i < tiles * work.splits; i += clusters) {
      TileOrigin at = tile_origin<kRows, N>(work.m, work.n, i % tiles);
      if constexpr (kCluster > 1) at.m += int(ptx::cluster_rank()) * M;
      const int split = i / tiles, begin = split * work.steps_each;
      something(Item{at, split, begin, min(work.steps_each, work.steps - begin)});
    }
  }

  // One thread: brings every step of every tile of the block. boxes.begin(at, step) makes ready for
  // those of the tile at `at`, and boxes.bring(stage, barrier) starts the copies of the next one, a whole
  // stage of bytes that the barrier counts.
  template <class Boxes>
  static __device__ void copy_all(Shared& shared, const WgmmaWork& work, Boxes boxes) {
    RingPlace place;
    each_item(work, [&](const Item& item) {
      boxes.begin(item.at, item.begin);
      for (int step = 0; step < item.steps; ++step, place.next(kStages))
        boxes.bring(shared.stages[place.stage], shared.barriers.expect(place, int(sizeof(Stage))));
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
  // finish(item, row, column, staged) gets the sums (16, kPart) of its warp, part by part: of rows
  // from `row` of c on, which may lie below its end, and columns from `column` on.
  template <class Finish>
  static __device__ void multiply_all(Shared& shared, const WgmmaWork& work, int group,
                                      const Finish& finish) {
    const int warp = (int(threadIdx.x) - kFirst) / 32;
    RingPlace place;
    each_item(work, [&](const Item& item) {
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
#pragma unroll 1
      for (int part = 0; part < N / kPart; ++part) {
        stage_part(shared.staged[warp], sums, part);
        __syncwarp();
        finish(item, item.at.m + 16 * warp, item.at.n + part * kPart, shared.staged[warp]);
        __syncwarp();  // before the next part is staged in the same place
      }
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

  // A warp: something(row, column, four) for every four staged sums of it, neighbours in a row.
  template <class Do>
  static __device__ void each_four(const float* staged, const Do& something) {
    constexpr int kFours = kPart / 4;
#pragma unroll 1
    for (int i = int(threadIdx.x) % 32; i < 16 * kFours; i += 32) {
      const int row = i / kFours, column = i % kFours * 4;
      something(row, column, staged + row * kPartStride + column);
    }
  }

  // A whole block: boxes and finish as above.
  template <int kCopyRegisters, int kMultiplyRegisters, class Boxes, class Finish>
  static __device__ void run(Shared& shared, const WgmmaWork& work, const Boxes& boxes,
                             const Finish& finish) {
    static_assert(128 * kCopyRegisters + 256 * kMultiplyRegisters <= 65536);
    shared.barriers.begin();
    const int group = int(threadIdx.x) / 128;
    if (group == 0) {
      ptx::shrink_registers<kCopyRegisters>();
      if (threadIdx.x == 0) copy_all(shared, work, boxes);
    } else {
      ptx::grow_registers<kMultiplyRegisters>();
      multiply_all(shared, work, group - 1, finish);
    }
    shared.barriers.end();
  }

  // As many blocks as run at the same time, or fewer.
  static Launch launch_of(const WgmmaWork& work, size_t shared_bytes, Stream stream) {
    const GemmProblem size{.m = work.m, .n = work.n};
    Launch how = gemm_launch(size, kShape, 1, shared_bytes, stream);
    const unsigned slots = unsigned(multiprocessors()) / how.cluster * how.cluster;
    how.grid.x = std::min(how.grid.x * unsigned(work.splits), slots);
    return how;
  }
};

}  // namespace graft::cuda
