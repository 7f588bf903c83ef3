// Which of two kernels runs, and how often each is timed.
#include "core/kernel_choice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/check.h"
#include "kernels/vendor/no_plan.h"

namespace graft {
namespace {

struct Counted {
  int own = 0, vendor = 0, timed = 0;
  double own_time = 2, vendor_time = 1;
  bool has_plan = true;

  void run_vendor() {
    if (!has_plan) throw vendor::NoPlan("cuDNN: no plan: CUDNN_STATUS_NOT_SUPPORTED");
    ++vendor;
  }

  void run(const std::string& problem) {
    const bool ours = ours_run([&] { return problem; }, [&] { ++own; }, [&] { run_vendor(); },
                               [&](const Work& work) {
                                 const int before = own;
                                 work(), ++timed;
                                 return own > before ? own_time : vendor_time;
                               });
    ++(ours ? own : vendor);
  }
};

class KernelChoice : public testing::Test {
 protected:
  void TearDown() override {
    use_kernels(Kernels::own);
    set_kernel_verdicts({});
  }
};

TEST_F(KernelChoice, OursUnlessTold) {
  Counted c;
  c.run("a");
  EXPECT_EQ(c.own, 1);
  EXPECT_EQ(c.vendor + c.timed, 0);
}

TEST_F(KernelChoice, WithoutTheLibrariesTheyAreRefused) {
  if (built_with_vendor()) GTEST_SKIP() << "this build has them";
  EXPECT_THROW(use_kernels(Kernels::vendor), Error);
  EXPECT_THROW(use_kernels(Kernels::automatic), Error);
  EXPECT_EQ(vendor_versions(), "");
}

TEST_F(KernelChoice, EachProblemIsMeasuredOnce) {
  if (!built_with_vendor()) GTEST_SKIP() << "this build has no cuBLASLt and cuDNN";
  use_kernels(Kernels::automatic);
  Counted c;
  for (int i = 0; i < 3; ++i) c.run("a");
  EXPECT_EQ(c.timed, 2);
  EXPECT_EQ(c.own, 1);
  EXPECT_EQ(c.vendor, 1 + 3);
  c.vendor_time = 3;
  for (int i = 0; i < 3; ++i) c.run("b");
  EXPECT_EQ(c.timed, 4);
  EXPECT_EQ(c.own, 1 + 1 + 3);
  const KernelVerdicts known = kernel_verdicts();
  EXPECT_EQ(known.size(), 2u);
  EXPECT_LT(known.at("a").vendor, known.at("a").own);
}

TEST_F(KernelChoice, WhatIsKnownIsNotMeasured) {
  if (!built_with_vendor()) GTEST_SKIP() << "this build has no cuBLASLt and cuDNN";
  use_kernels(Kernels::automatic);
  set_kernel_verdicts({{"a", {1, 5}}});
  Counted c;
  c.run("a");
  EXPECT_EQ(c.timed + c.vendor, 0);
  EXPECT_EQ(c.own, 1);
}

TEST_F(KernelChoice, WhatHasNoPlanIsNeverFaster) {
  if (!built_with_vendor()) GTEST_SKIP() << "this build has no cuBLASLt and cuDNN";
  use_kernels(Kernels::automatic);
  Counted c{.has_plan = false};
  for (int i = 0; i < 2; ++i) c.run("conv2d wgrad bf16 n1");
  EXPECT_EQ(c.own, 1 + 2);
  EXPECT_EQ(c.vendor, 0);
  EXPECT_TRUE(std::isinf(kernel_verdicts().at("conv2d wgrad bf16 n1").vendor));
}

TEST_F(KernelChoice, WhatHasNoPlanIsOursAndSaidOncePerKind) {
  if (!built_with_vendor()) GTEST_SKIP() << "this build has no cuBLASLt and cuDNN";
  std::vector<std::string> lines;
  use_kernels(Kernels::vendor, [&](const std::string& line) { lines.push_back(line); });
  Counted c{.has_plan = false};
  for (const char* problem : {"conv2d wgrad bf16 n1", "conv2d wgrad bf16 n2", "conv2d wgrad bf16 n1",
                              "gemm bf16 nt m1"})
    c.run(problem);
  EXPECT_EQ(c.own, 4);
  EXPECT_EQ(c.vendor + c.timed, 0);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_NE(lines[0].find("conv2d wgrad bf16 n1 (cuDNN: no plan"), std::string::npos) << lines[0];
  EXPECT_NE(lines[1].find("gemm bf16 nt m1"), std::string::npos) << lines[1];
  c.has_plan = true;
  c.run("conv2d fprop bf16 n1");
  EXPECT_EQ(c.vendor, 1 + 1);  // asked, and then run
  EXPECT_EQ(lines.size(), 2u);
}

}  // namespace
}  // namespace graft
