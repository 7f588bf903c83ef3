// The simulated runtime: what it makes visible that a GPU only shows now and then.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/cuda/copy.h"
#include "kernels/cuda/gemm_plan.h"
#include "tests/cusim/fresh_device.h"

namespace graft::cuda {
namespace {

struct Runtime : sim::FreshDevice {};

struct Pinned {
  explicit Pinned(size_t count)
      : values(static_cast<float*>(allocate_pinned(count * sizeof(float)))) {}
  ~Pinned() { release_pinned(values); }
  float* values;
};

float* device_floats(size_t count, Stream s) {
  return static_cast<float*>(allocate(count * sizeof(float), s));
}

TEST_F(Runtime, CopiesGoThereAndBack) {
  Stream s = create_stream();
  float* d = device_floats(3, s);
  const float in[3] = {1, 2, 3};
  float out[3] = {};
  copy(d, in, sizeof in, s);
  copy(out, d, sizeof out, s);  // to pageable memory: complete when the call returns
  EXPECT_EQ(out[2], 3);
  release(d, s);
  destroy(s);
}

// That copies of pageable memory are complete is copy()'s doing, not the device's.
TEST_F(Runtime, PageableMemoryIsReadAndWrittenLateUntilSomebodyWaits) {
  Stream s = create_stream();
  float* d = device_floats(1, s);
  float in = 1, out = 0;
  start_copy(d, &in, sizeof in, s);
  in = 2;
  start_copy(&out, d, sizeof out, s);
  EXPECT_EQ(out, 0);
  synchronize(s);
  EXPECT_EQ(out, 2);
  copy(d, &in, sizeof in, s);
  in = 3;
  copy(&out, d, sizeof out, s);
  EXPECT_EQ(out, 2);
  EXPECT_TRUE(sim::idle());
  release(d, s);
  destroy(s);
}

// Products are planned for what the device has, and what has proved to be right there.
TEST_F(Runtime, WgmmaIsForDevicesThatHaveIt) {
  GemmProblem p{.math = GemmMath::bf16, .m = 1024, .n = 1024, .k = 1024};
  p.a_stride = p.b_stride = p.c_stride = 1024;
  auto planned_with = [&](const sim::Faults& faults) {
    sim::inject(faults);
    return plan_gemm(p, gemm_device());
  };
  EXPECT_TRUE(planned_with({}).wgmma);
  EXPECT_FALSE(planned_with({.major = 8}).wgmma);
  EXPECT_FALSE(planned_with({.wgmma = false}).wgmma);
  EXPECT_EQ(planned_with({.wgmma = false}), planned_with({.major = 8}));
  setenv("GRAFT_WGMMA", "off", 1);
  EXPECT_EQ(planned_with({}), planned_with({.major = 8}));
  setenv("GRAFT_WGMMA", "", 1);
  EXPECT_TRUE(planned_with({}).wgmma);
  unsetenv("GRAFT_WGMMA");
}

TEST_F(Runtime, WgmmaDoesNotAgreeWhereTheDriverRefusesIt) {
  sim::inject({.tensor_maps = false});
  EXPECT_FALSE(wgmma_agrees());
  sim::inject({.fail_at = 1, .sticky = true});
  EXPECT_THROW(wgmma_agrees(), DeviceError);
}

TEST_F(Runtime, PinnedMemoryMustWait) {
  Stream s = create_stream();
  float* d = device_floats(1, s);
  Pinned from(1), to(1);
  *from.values = 1;
  copy(d, from.values, 4, s);
  *from.values = 2;  // too early: the copy has not been done
  copy(to.values, d, 4, s);
  EXPECT_TRUE(std::isnan(*to.values));
  synchronize(s);
  EXPECT_EQ(*to.values, 2);
  release(d, s);
  destroy(s);
}

TEST_F(Runtime, OtherStreamsSeeNothingWithoutAnEvent) {
  Stream first = create_stream(), second = create_stream();
  float* d = device_floats(1, first);
  Pinned one(1);
  *one.values = 1;
  float seen = 0;
  copy(d, one.values, 4, first);
  copy(&seen, d, 4, second);
  EXPECT_TRUE(std::isnan(seen));
  Event e = create_event();
  record(e, first);
  wait(second, e);
  copy(&seen, d, 4, second);
  EXPECT_EQ(seen, 1);
  EXPECT_TRUE(finished(e));
  destroy(e);
  release(d, second);
  destroy(second);
  destroy(first);
}

TEST_F(Runtime, AskingAnEventLetsWorkGoOn) {
  Stream s = create_stream();
  Event from = create_event(true), to = create_event(true);
  record(from, s);
  record(to, s);
  EXPECT_THROW(milliseconds(from, to), DeviceError);
  while (!finished(to)) {
  }
  EXPECT_GE(milliseconds(from, to), 0);
  EXPECT_TRUE(sim::idle());
  destroy(from);
  destroy(to);
  destroy(s);
}

TEST_F(Runtime, MemoryRunsOutAtTheBudgetAndComesBack) {
  sim::inject({.budget = 1000});
  float* a = device_floats(200, {});
  EXPECT_THROW(
      {
        try {
          device_floats(100, {});
        } catch (const OutOfMemory& e) {
          EXPECT_EQ(e.bytes, 400u);
          EXPECT_NE(std::strstr(e.what(), "400 bytes"), nullptr);
          throw;
        }
      },
      OutOfMemory);
  release(a, {});  // has not happened yet, but the next allocation waits for it
  float* b = device_floats(100, {});
  EXPECT_EQ(device_memory().live, 400u);
  EXPECT_EQ(device_memory().peak, 800u);
  release(b, {});
}

TEST_F(Runtime, EveryCallCanFailOnce) {
  auto work = [] {
    Scratch a(64, {});
    fill_bytes(a.data(), 0, 64, {});
    float x = 1;
    copy(&x, a.data(), 4, {});
    synchronize(Stream{});
    return x;
  };
  sim::inject({});
  work();
  const long calls = sim::calls();
  ASSERT_GE(calls, 4);
  for (long n = 1; n <= calls; ++n) {
    sim::inject({.fail_at = n});
    EXPECT_ANY_THROW(work()) << "call " << n;
    EXPECT_EQ(work(), 0) << "after the failure of call " << n;
    synchronize_device();
    EXPECT_EQ(device_memory().live, 0u);
  }
}

TEST_F(Runtime, StickyErrorsStay) {
  sim::inject({.fail_at = 1, .sticky = true});
  for (int i = 0; i < 3; ++i) {
    try {
      synchronize_device();
      ADD_FAILURE() << "no error";
    } catch (const DeviceError& e) {
      EXPECT_TRUE(e.sticky);
    }
  }
}

using RuntimeDeath = Runtime;

TEST_F(RuntimeDeath, BadBlocksAreNamed) {
  EXPECT_DEATH(
      {
        void* block = allocate(8, {});
        release(block, {});
        release(block, {});
        synchronize(Stream{});
      },
      "released before");
  EXPECT_DEATH(fill_bytes(static_cast<char*>(allocate(8, {})) + 4, 0, 8, {}),
               "8 bytes at byte 4 of a block of 8");
  EXPECT_DEATH(
      {
        allocate(8, {});
        sim::reset();
      },
      "never released");
}

}  // namespace
}  // namespace graft::cuda
