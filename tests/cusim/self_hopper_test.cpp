// Each misuse of what Hopper has - mbarriers, box copies, wgmma - is seen by cusim and named, in
// every build and order. What they compute when all is well is in tests/cuda_ptx_test.cu.
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/cuda/box_tile.cuh"
#include "tests/cusim/guarded.h"
#include "tests/cusim/orders.h"
#include "tests/cusim/self.h"

namespace graft::cuda {
namespace {

using Tile = BoxTile<__nv_bfloat16, 128, true>;
constexpr int kBytes = int(sizeof(Tile));

struct Shared {
  Tile a, b;
  uint64_t full, empty;
};

// What a kernel of 256 threads does wrong; thread 0 copies, threads 128 to 255 multiply.
enum class Wrong {
  nothing,
  no_init,
  no_init_fence,
  no_block_barrier,
  barrier_overwritten,
  arrives_twice,
  announces_too_little,
  announces_too_much,
  copy_misaligned,
  copy_not_waited_for,
  reads_before_the_copy,
  other_parity,
  releases_before_the_wait,
  copies_without_release,
  no_wgmma_fence,
  sums_written_without_fence,
  sums_written_too_early,
  product_not_waited_for,
  other_descriptors,
  other_swizzle,
  registers_for_one_warp,
};

__device__ void copy_twice(Shared& s, const TensorMap& map, Wrong wrong) {
  for (uint32_t round = 0; round < 2; ++round) {
    if (wrong != Wrong::copies_without_release) ptx::barrier_wait(&s.empty, round ^ 1);
    const int bytes = wrong == Wrong::announces_too_little ? kBytes
                      : wrong == Wrong::announces_too_much ? 2 * kBytes + 16
                                                           : 2 * kBytes;
    ptx::barrier_arrive_expect(&s.full, bytes);
    if (wrong == Wrong::arrives_twice) ptx::barrier_arrive(&s.full);
    s.a.load(map, 0, 0, &s.full);
    if (wrong == Wrong::copy_misaligned)
      ptx::copy_box_async(s.b.elements + 64, map, 0, 0, &s.full);
    else
      s.b.load(map, 0, 0, &s.full);
  }
}

__device__ void multiply_twice(Shared& s, Wrong wrong) {
  float sums[64] = {};
  auto release = [&] {
    if (threadIdx.x % 32 == 0) ptx::barrier_arrive(&s.empty);
  };
  for (uint32_t round = 0; round < 2; ++round) {
    if (wrong != Wrong::reads_before_the_copy)
      ptx::barrier_wait(&s.full, wrong == Wrong::other_parity ? round ^ 1 : round);
    if (wrong == Wrong::sums_written_without_fence) sums[3] += 1;
    const bool fences =
        wrong == Wrong::sums_written_without_fence ? round == 0 : wrong != Wrong::no_wgmma_fence;
    if (fences) ptx::wgmma_fence(sums);
    uint64_t a = s.a.descriptor(0, 1);
    if (wrong == Wrong::other_descriptors && threadIdx.x >= 224) a = s.a.descriptor(0, 2);
    if (wrong == Wrong::other_swizzle) a ^= uint64_t(3) << 62;
    ptx::wgmma_k16<__nv_bfloat16, false, false>(sums, a, s.b.descriptor(0, 1));
    ptx::wgmma_commit();
    if (wrong == Wrong::releases_before_the_wait) release();
    if (wrong == Wrong::sums_written_too_early) sums[3] = 1;
    if (wrong != Wrong::product_not_waited_for || round == 0) ptx::wgmma_wait<0>(sums);
    if (wrong != Wrong::releases_before_the_wait) release();
  }
}

__global__ void two_rounds(const __grid_constant__ TensorMap map, Wrong wrong) {
  GRAFT_SHARED(Shared, s);
  if (threadIdx.x == 0 && wrong != Wrong::no_init) {
    ptx::barrier_init(&s.full, 1);
    ptx::barrier_init(&s.empty, 4);
    if (wrong != Wrong::no_init_fence) ptx::barrier_init_fence();
  }
  if (wrong != Wrong::no_block_barrier) __syncthreads();
  if (threadIdx.x == 0 && wrong == Wrong::barrier_overwritten) s.full = 0;
  if (threadIdx.x / 32 == 5 && wrong == Wrong::registers_for_one_warp) ptx::grow_registers<128>();
  if (threadIdx.x == 0) copy_twice(s, map, wrong);
  if (threadIdx.x >= 128 && wrong != Wrong::copy_not_waited_for) multiply_twice(s, wrong);
}

void run_with(Wrong wrong) {
  static cusim::Guarded<__nv_bfloat16> x(128 * 64);
  std::fill(x.begin(), x.end(), __nv_bfloat16(0.0f));
  const TensorMap map = Tile::map(DType::bf16, x.data(), 128, 64, 64);
  run_now(two_rounds, 1, 256, sizeof(Shared), map, wrong);
}

TEST(CusimHopper, NothingWrong) {
  cusim::in_every_order([] { run_with(Wrong::nothing); });
}

TEST(CusimHopperDeath, MisuseIsNamed) {
  cusim::in_every_order([] {
    EXPECT_DEATH(run_with(Wrong::no_init), "is no initialised mbarrier");
    EXPECT_DEATH(run_with(Wrong::no_init_fence), "no fence since the mbarrier");
    EXPECT_DEATH(run_with(Wrong::no_block_barrier), "initialised");
    EXPECT_DEATH(run_with(Wrong::barrier_overwritten), "has been overwritten");
    EXPECT_DEATH(run_with(Wrong::arrives_twice), "more than 1 arrivals in a phase");
    EXPECT_DEATH(run_with(Wrong::announces_too_little), "has not been waited for");
    EXPECT_DEATH(run_with(Wrong::announces_too_much), "deadlock.*wait at an mbarrier");
    EXPECT_DEATH(run_with(Wrong::copy_misaligned), "not 1024-byte aligned");
    EXPECT_DEATH(run_with(Wrong::copy_not_waited_for), "deadlock|has waited for");
    EXPECT_DEATH(run_with(Wrong::reads_before_the_copy),
                 "has not been waited for|may still read|deadlock");
    EXPECT_DEATH(run_with(Wrong::other_parity), "has not been waited for|still read|deadlock");
    EXPECT_DEATH(run_with(Wrong::releases_before_the_wait), "which a wgmma may still read");
    EXPECT_DEATH(run_with(Wrong::copies_without_release), "more than 1 arrivals in a phase");
    EXPECT_DEATH(run_with(Wrong::no_wgmma_fence), "before the first product");
    EXPECT_DEATH(run_with(Wrong::sums_written_without_fence), "since the sums' registers");
    EXPECT_DEATH(run_with(Wrong::sums_written_too_early), "sums were written while");
    EXPECT_DEATH(run_with(Wrong::product_not_waited_for), "has not waited for|may still read");
    EXPECT_DEATH(run_with(Wrong::other_descriptors), "start different products");
    EXPECT_DEATH(run_with(Wrong::other_swizzle), "not the swizzle of 128 bytes");
    EXPECT_DEATH(run_with(Wrong::registers_for_one_warp), "not by all warps of warp");
  });
}

TEST(CusimHopper, TensorMapsAreChecked) {
  alignas(16) static uint16_t x[64];
  const TensorBoxes good{DType::f16, x, 1, 8, 8, 64};
  auto with = [&](auto change) {
    TensorBoxes boxes = good;
    change(boxes);
    return boxes;
  };
  EXPECT_NO_THROW(encode(good));
  EXPECT_THROW(encode(with([](auto& b) { b.data = x + 1; })), DeviceError);
  EXPECT_THROW(encode(with([](auto& b) { b.stride = 12; })), DeviceError);
  EXPECT_THROW(encode(with([](auto& b) { b.rows = 0; })), DeviceError);
  EXPECT_THROW(encode(with([](auto& b) { b.box_rows = 257; })), DeviceError);
}

// ---- what a convolution gathers, and barriers by name ------------------------------------------

__global__ void gather_once(const __grid_constant__ TensorMap map, const PixelBox from) {
  GRAFT_SHARED(Shared, s);
  if (threadIdx.x == 0) {
    ptx::barrier_init(&s.full, 1);
    ptx::barrier_init_fence();
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::barrier_arrive_expect(&s.full, kBytes);
    ptx::copy_pixels_async(s.a.elements, map, from, &s.full);
  }
  ptx::barrier_wait(&s.full, 0);
}

PixelBoxes images_of(const void* data) {  // 3 x 3 filters with stride 2 and padding
  return {.type = DType::bf16,
          .data = data,
          .images = 2,
          .h = {.size = 5, .lower = -1, .stride = 2, .outputs = 3},
          .w = {.size = 5, .lower = -1, .stride = 2, .outputs = 3},
          .channels = 8,
          .box_pixels = 128};
}

TEST(CusimHopperDeath, MisuseOfPixelCopiesIsNamed) {
  static cusim::Guarded<__nv_bfloat16> x(2 * 5 * 5 * 8);
  std::fill(x.begin(), x.end(), __nv_bfloat16(0.0f));
  auto gather = [](const TensorMap& map, const PixelBox& from) {
    run_now(gather_once, 1, 64, sizeof(Shared), map, from);
  };
  const TensorMap map = encode(images_of(x.data()));
  gather(map, {.image = 0, .row = 1, .column = 3, .channel = 0, .down = 2, .right = 255});
  EXPECT_DEATH(gather(map, {.row = 0, .column = -1}), "row 0: no output meets it");
  EXPECT_DEATH(gather(map, {.row = -1, .column = 5}), "column 5: no output meets it");
  EXPECT_DEATH(gather(map, {.row = -1, .column = -1, .down = 256}), "with the offset 256, 0");
  EXPECT_DEATH(gather(Tile::map(DType::bf16, x.data(), 8, 8, 8), {.row = -1, .column = -1}),
               "for copies of another kind");
}

TEST(CusimHopper, ImagesAreChecked) {
  alignas(16) static uint16_t x[64];
  auto refused = [](auto change) {
    PixelBoxes boxes = images_of(x);
    change(boxes);
    EXPECT_THROW(encode(boxes), DeviceError);
  };
  refused([](PixelBoxes& b) { b.data = x + 1; });
  refused([](PixelBoxes& b) { b.channels = 12; });
  refused([](PixelBoxes& b) { b.box_pixels = 257; });
  refused([](PixelBoxes& b) { b.h.lower = -129; });
  refused([](PixelBoxes& b) { b.w.stride = 9; });
  refused([](PixelBoxes& b) { b.h.outputs = 100; });  // up to 194 pixels below the last
  refused([](PixelBoxes& b) { b.type = DType::f32; });
}

__global__ void meet_wrongly(int id, int threads, int others) {
  if (threadIdx.x < 64) ptx::barrier_sync(id, threadIdx.x < 32 ? threads : others);
}

TEST(CusimDeath, MisuseOfNamedBarriersIsNamed) {
  auto meet = [](int id, int threads, int others) {
    run_now(meet_wrongly, 1, 96, 0, id, threads, others);
  };
  meet(1, 64, 64);
  EXPECT_DEATH(meet(0, 64, 64), "bar.sync by id 0");
  EXPECT_DEATH(meet(1, 40, 40), "for 40 threads: whole warps");
  EXPECT_DEATH(meet(1, 96, 96), "deadlock");
  EXPECT_DEATH(meet(1, 64, 96), "others say");
}

}  // namespace
}  // namespace graft::cuda
