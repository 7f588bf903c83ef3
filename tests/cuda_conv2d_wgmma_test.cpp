// Convolutions with Hopper's wgmma, whose gathered matrix the copy engine makes: every pass, tile
// and type, geometries at the edges of what the engine is told, splits, last steps, and what is noted
// for a batch norm.
#include <cmath>
#include <cstring>
#include <tuple>

#include "kernels/norm_conv2d.h"
#include "tests/cuda_conv2d_case.h"
#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

GemmPlan wgmma_plan(int tile, int splits = 1) { return {tile, splits, true}; }
constexpr int kClusterTile = kWgmmaTileCount - 1;

// The passes of a case that wgmma has; at least fprop.
void run_all(const ConvCase& c) {
  for (ConvPass pass : {ConvPass::fprop, ConvPass::dgrad, ConvPass::wgrad}) {
    alignas(16) static const float operand[4] = {};
    const bool takes = wgmma_takes(pass, c.math, {.problem = c.p, .a = operand, .b = operand});
    ASSERT_TRUE(takes || pass != ConvPass::fprop) << text(c);
    if (takes) run_pass(pass, c);
    if (testing::Test::HasFatalFailure()) return;
  }
}

class ConvWgmma : public testing::TestWithParam<GemmMath> {};

TEST_P(ConvWgmma, EveryGeometry) {
  on_hopper([] {
    for (auto [c, k] : {std::pair(64, 24), {16, 8}, {72, 16}})
      for (const Conv2dProblem& p : geometries(c, k)) {
        run_all({p, GetParam(), wgmma_plan(1)});
        if (HasFatalFailure()) return;
      }
  });
}

TEST_P(ConvWgmma, EveryTile) {
  on_hopper([] {
    for (int tile = 0; tile < kWgmmaTileCount; ++tile)
      for (const Conv2dProblem& p : {square(1, 13, 64, 136, 3, 1, 1), square(2, 12, 64, 264, 1)}) {
        run_all({p, GetParam(), wgmma_plan(tile)});
        if (HasFatalFailure()) return;
      }
  });
}

TEST_P(ConvWgmma, SplitsAddUp) {
  on_hopper([] {
    for (int tile : {1, kClusterTile})
      for (int splits : {2, 5}) {
        run_all({square(2, 9, 64, 24, 3, 1, 1), GetParam(), wgmma_plan(tile, splits)});
        if (HasFatalFailure()) return;
      }
  });
}

TEST_P(ConvWgmma, LastStep) {
  on_hopper([] {
    for (int splits : {1, 3})
      for (int64_t k : {24, 21}) {
        run_pass(ConvPass::fprop, {square(1, 6, 16, k, 3, 1, 1), GetParam(), wgmma_plan(1, splits),
                                   factor_type(GetParam()), true});
        if (HasFatalFailure()) return;
      }
  });
}

INSTANTIATE_TEST_SUITE_P(Cuda, ConvWgmma, testing::Values(GemmMath::bf16, GemmMath::f16),
                         [](const auto& info) { return info.param == GemmMath::bf16 ? "bf16" : "f16"; });

TEST(CudaConvWgmma, ImagesThatEndWithinABox) {  // 128 pixels of several images, rows and columns
  on_hopper([] {
    for (const Conv2dProblem& p : {square(5, 7, 64, 8, 3, 1, 1), square(130, 1, 64, 8, 1),
                                   square(3, 15, 64, 8, 5, 2, 3), square(2, 12, 64, 8, 3, 2, 0)}) {
      run_all({p, GemmMath::bf16, wgmma_plan(1)});
      if (testing::Test::HasFatalFailure()) return;
    }
  });
}

TEST(CudaConvWgmma, ClustersOfWhichOneBlockHasNoPixels) {
  on_hopper([] {
    for (int64_t side : {8, 12, 18})  // one, two and three tiles below each other
      run_all({square(1, side, 64, 40, 3, 1, 1), GemmMath::f16, wgmma_plan(kClusterTile)});
  });
}

// What it says it cannot do: the copy engine has eight bits for a corner and for an offset.
TEST(CudaConvWgmma, TakesWhatTheCopyEngineCan) {
  alignas(16) static const float operand[4] = {};
  auto takes = [&](ConvPass pass, const Conv2dProblem& p, GemmMath math = GemmMath::bf16) {
    return wgmma_takes(pass, math, {.problem = p, .a = operand, .b = operand});
  };
  constexpr ConvPass kFprop = ConvPass::fprop, kDgrad = ConvPass::dgrad, kWgrad = ConvPass::wgrad;
  EXPECT_TRUE(takes(kFprop, square(1, 56, 64, 64, 3, 1, 1)));
  EXPECT_TRUE(takes(kDgrad, square(1, 56, 64, 64, 3, 1, 1)));
  EXPECT_TRUE(takes(kWgrad, square(1, 56, 64, 64, 3, 1, 1)));
  EXPECT_TRUE(takes(kFprop, square(1, 56, 64, 64, 3, 2, 1)));
  EXPECT_TRUE(takes(kWgrad, square(1, 56, 64, 64, 3, 2, 1)));
  EXPECT_FALSE(takes(kDgrad, square(1, 56, 64, 64, 3, 2, 1)));           // phases
  EXPECT_FALSE(takes(kWgrad, square(1, 56, 72, 64, 3, 1, 1)));           // a box of two taps
  EXPECT_TRUE(takes(kFprop, square(1, 56, 72, 64, 3, 1, 1)));
  EXPECT_FALSE(takes(kFprop, square(1, 56, 60, 64, 3, 1, 1)));           // rows of 120 bytes
  EXPECT_FALSE(takes(kFprop, square(1, 56, 64, 64, 3, 1, 1, 1, 2)));     // groups
  EXPECT_FALSE(takes(kFprop, square(1, 56, 64, 64, 3, 1, 1), GemmMath::tf32));
  EXPECT_TRUE(takes(kFprop, square(1, 400, 8, 8, 3, 1, 127, 127)));
  EXPECT_FALSE(takes(kFprop, square(1, 400, 8, 8, 3, 1, 128, 128)));     // offsets up to 256
  EXPECT_FALSE(takes(kFprop, square(1, 400, 8, 8, 1, 1, 129)));          // a corner at -129
  EXPECT_FALSE(takes(kFprop, square(1, 400, 8, 8, 1, 9)));               // a stride of 9
  ConvWork normalised{.problem = square(1, 8, 64, 64, 1), .a = operand, .b = operand};
  normalised.norm.of.mean = operand;
  EXPECT_FALSE(wgmma_takes(kFprop, GemmMath::bf16, normalised));
}

TEST(CudaConvWgmma, RefusesPlansThatItCannotRun) {
  float nothing = 0;
  const ConvWork work{.problem = square(1, 4, 6, 8, 1), .a = &nothing, .b = &nothing, .out = &nothing,
                      .out_type = DType::f32};
  EXPECT_THROW(conv2d(ConvPass::fprop, GemmMath::bf16, work, wgmma_plan(0), {}), std::invalid_argument);
}

TEST(CudaConvWgmma, AgreesWithMma) {
  on_hopper([] {
    EXPECT_TRUE(wgmma_agrees());
    EXPECT_TRUE(gemm_device().wgmma);
  });
}

// Moments of 128 rows, of which the last tile has fewer; to a bound, for they are sums of squares.
TEST(CudaConvWgmma, LeavesMoments) {
  on_hopper([] {
    for (int tile = 0; tile < kWgmmaTileCount; ++tile) {
      const Conv2dProblem p = square(3, 9, 64, 40, 3, 1, 1);
      const int64_t rows = p.n * 81;
      const Array<bf16> x(integers<bf16>(size_t(rows * 64), 1)), w(integers<bf16>(40 * 9 * 64, 2));
      Array<bf16> y(size_t(rows * 40));
      const Array<ChannelMoments> moments(2 * 40);
      ConvWork work = fprop_work(p, x.data(), w.data(), {.moments = moments.data()}, y.data(),
                                 DType::bf16);
      ASSERT_EQ(note_rows(ConvPass::fprop, GemmMath::bf16, work, wgmma_plan(tile)), 128);
      ASSERT_EQ(note_tiles(ConvPass::fprop, GemmMath::bf16, work, wgmma_plan(tile)), 2);
      conv2d(ConvPass::fprop, GemmMath::bf16, work, wgmma_plan(tile), {});
      const std::vector<bf16> values = y.host();
      const std::vector<ChannelMoments> found = moments.host();
      for (int64_t t = 0; t < 2; ++t)
        for (int64_t k = 0; k < 40; ++k) {
          const int64_t begin = 128 * t, end = std::min(begin + 128, rows);
          double mean = 0, spread = 0;
          for (int64_t r = begin; r < end; ++r) mean += double(float(values[size_t(r * 40 + k)]));
          mean /= double(end - begin);
          for (int64_t r = begin; r < end; ++r)
            spread += std::pow(double(float(values[size_t(r * 40 + k)])) - mean, 2);
          const ChannelMoments& m = found[size_t(t * 40 + k)];
          ASSERT_NEAR(m.mean, mean, 1e-5 * (1 + std::fabs(mean))) << tile << " " << t << " " << k;
          ASSERT_NEAR(m.spread, spread, 1e-5 * (1 + spread)) << tile << " " << t << " " << k;
        }
    }
  });
}

// Sums of integers, equal to the bit to those that mma's dgrad leaves, tile of 128 rows by tile.
TEST(CudaConvWgmma, LeavesTheSumsOfANorm) {
  on_hopper([] {
    const Conv2dProblem p = square(3, 9, 40, 64, 3, 1, 1);
    const int64_t rows = p.n * 81;
    const Array<bf16> dy(integers<bf16>(size_t(rows * 64), 1)), w(integers<bf16>(64 * 9 * 40, 2)),
        x(integers<bf16>(size_t(rows * 40), 3));
    const Array<float> mean(integers<float>(40, 4)), rstd(std::vector<float>(40, 0.5f));
    const NormProblem norm{rows, 40, mean.data(), rstd.data(), nullptr, nullptr, Activation::relu};
    auto sums_by = [&](const GemmPlan& plan) {
      Array<bf16> dx(size_t(rows * 40));
      Array<float> sums(2 * 2 * 40);
      ConvWork work = dgrad_work(p, dy.data(), w.data(), dx.data(), DType::bf16);
      work.sums = {{norm, 0, kNoLimit}, x.data(), sums.data()};
      EXPECT_EQ(note_rows(ConvPass::dgrad, GemmMath::bf16, work, plan), 128);
      conv2d(ConvPass::dgrad, GemmMath::bf16, work, plan, {});
      return sums.host();
    };
    const std::vector<float> want = sums_by({.tile = 0});
    for (int tile = 0; tile < kWgmmaTileCount; ++tile) EXPECT_EQ(sums_by(wgmma_plan(tile)), want);
  });
}

GemmPlan plan_on(int multiprocessors, const Conv2dProblem& p, ConvPass pass = ConvPass::fprop) {
  alignas(16) static const float operand[4] = {};
  return plan_conv(pass, GemmMath::bf16, {.problem = p, .a = operand, .b = operand},
                   {multiprocessors, true});
}

// Small tiles of mma give a large device more blocks; where there are enough, wgmma's are faster.
TEST(CudaConvWgmma, PlannedWhereItPays) {
  const Conv2dProblem few = square(2, 16, 128, 128, 3, 1, 1), many = square(64, 28, 128, 128, 3, 1, 1);
  EXPECT_TRUE(plan_on(4, few).wgmma);
  EXPECT_FALSE(plan_on(132, few).wgmma);
  for (int multiprocessors : {4, 132}) EXPECT_TRUE(plan_on(multiprocessors, many).wgmma);
}

// Of a batch of 256: a gradient of few weights is a sum over many pixels, split until it fills the device.
TEST(CudaConvWgmma, GradientsOfFewWeightsFillTheDevice) {
  for (auto [c, k, r] : {std::tuple(64, 64, 3), {64, 64, 1}, {256, 64, 1}, {64, 256, 1}}) {
    const Conv2dProblem p = square(256, 56, c, k, r, 1, r / 2);
    const GemmPlan plan = plan_on(132, p, ConvPass::wgrad);
    const GemmTile& tile = plan.wgmma ? kWgmmaTiles[plan.tile] : kTensorTiles[plan.tile];
    const int across = (r * r * c + tile.n - 1) / tile.n, down = (k + tile.m - 1) / tile.m;
    EXPECT_GE(plan.splits * across * down, 100) << c << " " << k << " " << r;
  }
}

TEST(CudaConvWgmma, AsPlannedForThisDevice) {
  on_hopper([] {
    const Conv2dProblem p = square(2, 16, 128, 128, 3, 1, 1);
    const Array<bf16> x(integers<bf16>(2 * 256 * 128, 1)), w(integers<bf16>(128 * 9 * 128, 2));
    Array<float> y(2 * 256 * 128), want(2 * 256 * 128);
    conv2d_fprop(GemmMath::bf16, p, x.data(), w.data(), {}, y.data(), DType::f32, {});
    const ConvWork work = fprop_work(p, x.data(), w.data(), {}, want.data(), DType::f32);
    conv2d(ConvPass::fprop, GemmMath::bf16, work, {.tile = 0}, {});
    EXPECT_EQ(y.host(), want.host());
  });
}

}  // namespace
}  // namespace graft::cuda
