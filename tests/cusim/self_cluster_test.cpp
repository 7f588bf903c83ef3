// Each misuse of a cluster - its barrier, arrivals in the other block, copies to both - is seen by
// cusim and named, in every build and order. What they do when all is well is in
// tests/cuda_ptx_test.cu.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cuda/box_tile.cuh"
#include "tests/cusim/guarded.h"
#include "tests/cusim/orders.h"
#include "tests/cusim/race.h"
#include "tests/cusim/self.h"

namespace graft::cuda {
namespace {

using Tile = BoxTile<__nv_bfloat16, 128, true, 2>;

struct Shared {
  Tile tile;
  uint64_t full, empty;
};

// What a kernel of two blocks of 256 threads does wrong: thread 0 of each copies its half of the
// tile to both, twice, and threads 128 to 255 of each multiply.
enum class Wrong {
  nothing,
  no_meeting_first,
  no_meeting_last,
  meets_twice_at_once,
  waits_without_arriving,
  returns_before_waiting,
  other_block_returns,
  other_block_never_releases,
  released_by_own_block_alone,
  reads_what_the_other_block_copies_over,
  announces_nothing_there,
  copies_to_a_third_block,
  arrives_in_a_third_block,
  reads_after_release,
};

__device__ void meet() {
  ptx::cluster_arrive();
  ptx::cluster_wait();
}

__device__ void copy_twice(Shared& s, const TensorMap& map, Wrong wrong) {
  for (uint32_t round = 0; round < 2; ++round) {
    ptx::barrier_wait(&s.empty, round ^ 1);
    if (wrong == Wrong::announces_nothing_there && ptx::cluster_rank() == 1)
      ptx::barrier_arrive(&s.full);
    else
      ptx::barrier_arrive_expect(&s.full, int(sizeof s.tile));
    if (wrong == Wrong::copies_to_a_third_block)
      ptx::copy_box_to_blocks(s.tile.elements, map, 0, 0, &s.full, 7);
    s.tile.load(map, 0, 0, &s.full);
  }
}

__device__ void release(Shared& s, Wrong wrong) {
  const unsigned lane = threadIdx.x % 32, blocks = wrong == Wrong::arrives_in_a_third_block ? 3 : 2;
  if (wrong == Wrong::other_block_never_releases && ptx::cluster_rank() == 1) return;
  if (wrong == Wrong::released_by_own_block_alone) {
    if (lane == 0) ptx::barrier_arrive(&s.empty);
  } else if (lane < blocks) {
    ptx::barrier_arrive_in(&s.empty, lane);
  }
}

__device__ void multiply_twice(Shared& s, Wrong wrong) {
  float sums[64] = {};
  for (uint32_t round = 0; round < 2; ++round) {
    ptx::barrier_wait(&s.full, round);
    ptx::wgmma_fence(sums);
    ptx::wgmma_k16<__nv_bfloat16, false, false>(sums, s.tile.descriptor(0, 1),
                                                s.tile.descriptor(0, 1));
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>(sums);
    if (wrong == Wrong::reads_what_the_other_block_copies_over && threadIdx.x == 128)
      sums[0] += float(s.tile.elements[0]);
    release(s, wrong);
    if (wrong == Wrong::reads_after_release && threadIdx.x == 128 && round == 0)
      sums[0] += float(s.tile.elements[0]);
  }
}

__global__ void two_rounds_of_two_blocks(const __grid_constant__ TensorMap map, Wrong wrong) {
  GRAFT_SHARED(Shared, s);
  if (wrong == Wrong::other_block_returns && ptx::cluster_rank() == 1) return;
  if (threadIdx.x == 0) {
    ptx::barrier_init(&s.full, 1);
    ptx::barrier_init(&s.empty, wrong == Wrong::released_by_own_block_alone ? 4 : 8);
    ptx::barrier_init_fence();
  }
  if (wrong == Wrong::no_meeting_first)
    __syncthreads();
  else
    meet();
  if (threadIdx.x == 0) copy_twice(s, map, wrong);
  if (threadIdx.x >= 128) multiply_twice(s, wrong);
  if (wrong == Wrong::meets_twice_at_once) ptx::cluster_arrive();
  if (wrong == Wrong::no_meeting_last) return;
  if (wrong != Wrong::waits_without_arriving) ptx::cluster_arrive();
  if (wrong != Wrong::returns_before_waiting) ptx::cluster_wait();
}

void run_with(Wrong wrong, unsigned blocks = 4) {
  static cusim::Guarded<__nv_bfloat16> x(128 * 64);
  std::fill(x.begin(), x.end(), __nv_bfloat16(0.0f));
  const TensorMap map = Tile::map(DType::bf16, x.data(), 128, 64, 64);
  launch(two_rounds_of_two_blocks, {blocks, 256, sizeof(Shared), {}, 2}, map, wrong);
  synchronize(Stream{});
}

TEST(CusimCluster, NothingWrong) {
  cusim::in_every_order([] { run_with(Wrong::nothing); });
}

TEST(CusimClusterDeath, MisuseIsNamed) {
  cusim::in_every_order([] {
    EXPECT_DEATH(run_with(Wrong::no_meeting_first), "initialised");
    EXPECT_DEATH(run_with(Wrong::no_meeting_last), "has ended|may have ended before warp");
    EXPECT_DEATH(run_with(Wrong::meets_twice_at_once), "twice, and no wait between");
    EXPECT_DEATH(run_with(Wrong::waits_without_arriving), "has not arrived");
    EXPECT_DEATH(run_with(Wrong::returns_before_waiting), "ends between");
    EXPECT_DEATH(run_with(Wrong::other_block_returns), "of the cluster has ended");
    EXPECT_DEATH(run_with(Wrong::other_block_never_releases),
                 "deadlock: of 512 threads.*or for their cluster");
    EXPECT_DEATH(run_with(Wrong::released_by_own_block_alone),
                 "which a wgmma may still read|may still be on its way");
    EXPECT_DEATH(run_with(Wrong::announces_nothing_there),
                 "has not been waited for|bytes more than were announced");
    EXPECT_DEATH(run_with(Wrong::copies_to_a_third_block), "box copy to blocks 7");
    EXPECT_DEATH(run_with(Wrong::arrives_in_a_third_block), "block 2 of a cluster of 2");
    EXPECT_DEATH(run_with(Wrong::nothing, 3), "no such launch.*clusters of 2");
    if (!cusim::race::check) return;
    EXPECT_DEATH(run_with(Wrong::reads_after_release), "race on");
    EXPECT_DEATH(run_with(Wrong::reads_what_the_other_block_copies_over), "race on");
  });
}

}  // namespace
}  // namespace graft::cuda
