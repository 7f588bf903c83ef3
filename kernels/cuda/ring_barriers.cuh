// The barriers of a ring in shared memory that Hopper's copy engine fills and wgmma empties. Each
// of its stages has two mbarriers. full: its bytes have come, wgmma may read them; empty: all warps
// that multiply have done so, the next copy may overwrite them. Every round of the ring ends one
// phase of each, so that the parity to wait for alternates:
//
//   round of the ring           0  1  2  3
//   products wait at `full`     0  1  0  1
//   copies wait at `empty`      1  0  1  0     the first passes at once: the ring is empty
//
// In a cluster of two blocks both want the same B, for their tiles lie one below the other. Each
// block copies its own A, and of B one half, which the engine brings to both (multicast): so B
// comes out of the L2 cache once for the two of them.
//
//                         block 0            block 1
//   A, its rows       ──►  stage               stage  ◄──  A, its rows
//   B, first half     ──►  stage  ──────────►  stage
//                          stage  ◄──────────  stage  ◄──  B, second half
//
//   full    of each block: one thread arrives and announces a whole stage, also the half that the
//           other block has asked for. That half may come before it is announced; the phase does
//           not end, for the arrival is missing.
//   empty   of each block: the warps of both arrive, for what it copies next overwrites both. All that
//           an arrival says is that wgmma has read a stage, which needs no order of loads and stores.
//
// A block's shared memory ends with it, and nobody waits for the last arrivals at its `empty`: so
// the blocks meet once more before they return.
//
// Sources: the section on mbarrier of the PTX ISA; CUTLASS' pipelines (media/docs, pipeline.md).
// Not yet run on a GPU.
#pragma once
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/ptx.cuh"

namespace graft::cuda {

struct RingPlace {  // where in the ring somebody is, and the parity of the round
  int stage = 0;
  uint32_t parity = 0;

  __device__ void next(int stages) {
    if (++stage < stages) return;
    stage = 0;
    parity ^= 1;
  }
};

// kWarps in each of the cluster's kCluster blocks multiply.
template <int kStages, int kWarps, int kCluster>
struct RingBarriers {
  uint64_t full[kStages], empty[kStages];  // mbarriers, two of each stage

  // All threads of all blocks, before the first copy.
  __device__ void begin() {
    if (threadIdx.x == 0) {
      for (int stage = 0; stage < kStages; ++stage) {
        ptx::barrier_init(&full[stage], 1);
        ptx::barrier_init(&empty[stage], kWarps * kCluster);
      }
      ptx::barrier_init_fence();
    }
    if constexpr (kCluster > 1)
      meet();
    else
      __syncthreads();
  }

  // The same, when all is done.
  static __device__ void end() {
    if constexpr (kCluster > 1) meet();
  }

  // The thread that copies: waits for the stage, and says what will come. -> who counts that
  __device__ uint64_t* expect(const RingPlace& at, int bytes) {
    ptx::barrier_wait(&empty[at.stage], at.parity ^ 1);
    ptx::barrier_arrive_expect(&full[at.stage], bytes);
    return &full[at.stage];
  }

  // A warp that multiplies: waits until the stage is full, and says that it no longer reads it.
  __device__ void wait(const RingPlace& at) { ptx::barrier_wait(&full[at.stage], at.parity); }
  __device__ void release(int stage) {
    const unsigned lane = threadIdx.x % 32;
    if constexpr (kCluster > 1) {
      if (lane < kCluster) ptx::barrier_arrive_in(&empty[stage], lane);
    } else {
      if (lane == 0) ptx::barrier_arrive(&empty[stage]);
    }
  }

 private:
  static __device__ void meet() {
    __syncwarp();  // one of its threads may have been at something else
    ptx::cluster_arrive();
    ptx::cluster_wait();
  }
};

}  // namespace graft::cuda
