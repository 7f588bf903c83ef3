// Each kind of misuse is seen by cusim and named. Bugs in whole kernels are planted by seeded.sh.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/ptx.cuh"
#include "tests/cusim/guarded.h"
#include "tests/cusim/orders.h"
#include "tests/cusim/race.h"
#include "tests/cusim/self.h"

namespace graft::cuda {
namespace {

__global__ void divergent_barrier() {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void barrier_after_return() {
  if (threadIdx.x < 32) return;
  __syncthreads();
}
__global__ void shuffle_of_the_exited() {
  if (threadIdx.x >= 16) return;
  __shfl_xor_sync(0xffffffffu, 1, 1);
}
__global__ void different_collectives() {
  if (threadIdx.x % 2)
    __syncwarp();
  else
    __ballot_sync(0xffffffffu, 1);
}
__global__ void shuffle_outside_mask() {
  if (threadIdx.x < 16) __shfl_sync(0xffffu, 1, 20);
}
__global__ void deadlock() {
  if (threadIdx.x < 16)
    __syncwarp();
  else
    __syncthreads();
}
__global__ void copy_in_flight(const float* x) {
  GRAFT_SHARED(Floats, shared);
  ptx::copy_async<16>(shared.values, x, 16);
  ptx::copy_async_commit();
}
__global__ void misaligned_copy(const float* x) {
  GRAFT_SHARED(Floats, shared);
  ptx::copy_async<16>(shared.values, x + 1, 16);
}
__global__ void misaligned_matrix() {
  GRAFT_SHARED(Floats, shared);
  uint32_t r[4];
  ptx::ldmatrix(r, shared.values + threadIdx.x);
}

__global__ void past_the_end(float* x) { x[threadIdx.x] = 0; }

TEST(CusimDeath, AccessesBesideAnArrayAreNamed) {
  static cusim::Guarded<float> x(32);
  run_now(past_the_end, 1, 32, 0, x.data());
#ifdef __SANITIZE_ADDRESS__
  EXPECT_DEATH(run_now(past_the_end, 1, 33, 0, x.data()), "AddressSanitizer: SEGV");
#else
  EXPECT_DEATH(run_now(past_the_end, 1, 33, 0, x.data()), "thread .32,0,0.: access to");
#endif
}

TEST(CusimDeath, MisuseIsNamed) {
  alignas(16) static const float x[8] = {};
  EXPECT_DEATH(run_now(divergent_barrier, 1, 64, 0),
               "divergent barriers.*misuse_test.*misuse_test");
  EXPECT_DEATH(run_now(barrier_after_return, 1, 64, 0), "after 32 of 64 threads have returned");
  EXPECT_DEATH(run_now(shuffle_of_the_exited, 1, 32, 0), "which has exited");
  EXPECT_DEATH(run_now(different_collectives, 1, 32, 0), "are in different collectives");
  EXPECT_DEATH(run_now(shuffle_outside_mask, 1, 32, 0), "reads lane 20, which is not in mask");
  EXPECT_DEATH(run_now(deadlock, 1, 32, 0), "deadlock");
  EXPECT_DEATH(run_now(copy_in_flight, 1, 1, sizeof(Floats), x), "cp.async in flight");
  EXPECT_DEATH(run_now(misaligned_copy, 1, 1, sizeof(Floats), x), "misaligned");
  EXPECT_DEATH(run_now(misaligned_matrix, 1, 32, sizeof(Floats)), "not 16-byte aligned");
  EXPECT_DEATH(run_now(misaligned_matrix, 1, 32, 8), "its launch asked for 8");
  EXPECT_DEATH(run_now(deadlock, 1, 1025, 0), "no such launch");
}

// ---- races: seen by the race build alone

__global__ void no_barrier(float* x) {
  GRAFT_SHARED(Floats, shared);
  shared.values[threadIdx.x] = x[threadIdx.x];
  x[threadIdx.x] = shared.values[blockDim.x - 1 - threadIdx.x];
}
__global__ void overlapping_blocks(float* x) { x[blockIdx.x * 32 + threadIdx.x] = 1; }
__global__ void in_place_shift(float* x) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  x[i] = x[i + 1];
}

TEST(CusimDeath, RacesAreSeen) {
  if (!cusim::race::check) GTEST_SKIP() << "only in the race build";
  static std::vector<float> x(257);
  cusim::in_every_order([] {
    EXPECT_DEATH(run_now(no_barrier, 1, 64, sizeof(Floats), x.data()),
                 "race on .* with no barrier");
    EXPECT_DEATH(run_now(overlapping_blocks, 2, 64, 0, x.data()), "race on .* by another block");
    EXPECT_DEATH(run_now(in_place_shift, 4, 64, 0, x.data()), "race on");
  });
}

}  // namespace
}  // namespace graft::cuda
