// The loop of every tiled product: kStages steps of depth lie in shared memory in a ring, and while
// warps multiply one step, asynchronous copies bring the next ones.
//
//   stage     0          1          2          3
//   step      4 coming   5 coming   6 coming   3 being multiplied      (the next: 4; 7 comes to 3)
//
// One barrier a step: it says that everybody has the step's data, and that nobody still reads the
// place that the next copy overwrites, which is the one of the step before. Not yet run on a GPU.
#pragma once
#include "kernels/cuda/ptx.cuh"

namespace graft::cuda {

// stages (kStages), in shared memory; a Stage is the caller's, and holds the tiles of one step.
// bring(stage, step) starts the copies of a step; prepare(stage, step) may change what the thread
// itself has copied, before others see it; multiply(stage) reads a step. Afterwards the ring's memory
// is free for other use.
template <class Stage, int kStages, class Bring, class Prepare, class Multiply>
__device__ __forceinline__ void run_ring(Stage (&stages)[kStages], int steps, const Bring& bring,
                                         const Prepare& prepare, const Multiply& multiply) {
  auto start = [&](int step) {  // a group for every step, also where there is nothing to bring
    if (step < steps) bring(stages[step % kStages], step);
    ptx::copy_async_commit();
  };
  for (int step = 0; step < kStages - 1; ++step) start(step);
  for (int step = 0; step < steps; ++step) {
    ptx::copy_async_wait<kStages - 2>();
    prepare(stages[step % kStages], step);
    __syncthreads();
    start(step + kStages - 1);
    multiply(stages[step % kStages]);
  }
  __syncthreads();  // the ring is no longer read, and the last wait has seen every copy
}

template <class Stage, int kStages, class Bring, class Multiply>
__device__ __forceinline__ void run_ring(Stage (&stages)[kStages], int steps, const Bring& bring,
                                         const Multiply& multiply) {
  run_ring(stages, steps, bring, [](Stage&, int) {}, multiply);
}

}  // namespace graft::cuda
