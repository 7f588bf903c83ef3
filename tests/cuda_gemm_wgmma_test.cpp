// Matrix products on CUDA with Hopper's wgmma: every tile, type and way of storing, at sizes around
// the tile's, and with several tiles for each block, so that the ring goes round many times. The
// tile for clusters of two blocks is the last.
#include "tests/cuda_gemm_case.h"

namespace graft::cuda {
namespace {

GemmPlan wgmma_plan(int tile, int splits = 1) { return {tile, splits, true}; }

constexpr int kClusterTile = kWgmmaTileCount - 1;
static_assert(kWgmmaTiles[kClusterTile].cluster == 2);

class Wgmma : public testing::TestWithParam<GemmMath> {};

TEST_P(Wgmma, EveryTileAndTranspose) {
  on_hopper([] {
    for (int tile = 0; tile < kClusterTile; ++tile) {
      every_transpose({.math = GetParam(), .plan = wgmma_plan(tile)}, kWgmmaTiles[tile]);
      if (HasFatalFailure()) return;
    }
  });
}

TEST_P(Wgmma, SeveralTilesForEachBlock) {  // the simulator has four multiprocessors
  on_hopper([] {
    for (int tile = 0; tile < kWgmmaTileCount; ++tile) {
      const GemmTile& t = kWgmmaTiles[tile];
      Case c{.math = GetParam(), .m = 2 * t.m + 3, .n = 2 * t.n + 3, .plan = wgmma_plan(tile)};
      for (int64_t k : {int64_t(1), int64_t(2 * 64 + 3), 64 * int64_t(t.stages + 1)}) {
        c.k = k;
        c.transpose_a = !c.transpose_a, c.transpose_b = k == 1;
        run_case(c);
        if (HasFatalFailure()) return;
      }
    }
  });
}

TEST_P(Wgmma, LastStep) {
  on_hopper([] {
    for (int64_t n : {136, 137}) {  // in whole fours, and not
      Case c{.math = GetParam(), .m = 130, .n = n, .k = 72, .plan = wgmma_plan(1), .pad = 4};
      c.alpha = 0.5f;
      run_case(c);
      c.beta = 2;
      run_case(c);
      c.in_place = c.bias = true;
      c.c_type = factor_type(c.math);
      c.activation = Activation::relu;
      run_case(c);
      if (HasFatalFailure()) return;
    }
  });
}

TEST_P(Wgmma, LeavesMoments) {
  on_hopper([] {
    for (int tile = 0; tile < kWgmmaTileCount; ++tile)
      for (auto [m, n, splits] : {std::tuple(1, 1, 1), {128, 64, 1}, {129, 300, 1}, {131, 72, 3}}) {
        Case c{.math = GetParam(), .m = m, .n = n, .k = 200, .plan = wgmma_plan(tile, splits)};
        c.c_type = factor_type(c.math);
        c.bias = c.moments = true;
        run_case(c);
        if (HasFatalFailure()) return;
      }
  });
}

TEST_P(Wgmma, SplitsAddUp) {
  on_hopper([] {
    for (int tile : {1, kClusterTile})
      for (int splits : {2, 3, 16}) {  // of 6 steps and a bit
        Case c{.math = GetParam(), .m = 129, .n = 70, .k = 387, .plan = wgmma_plan(tile, splits)};
        c.bias = true;
        run_case(c);
        if (HasFatalFailure()) return;
      }
  });
}

INSTANTIATE_TEST_SUITE_P(CudaGemm, Wgmma, testing::Values(GemmMath::bf16, GemmMath::f16),
                         [](const auto& info) { return name_of(info.param); });

TEST(CudaGemmWgmma, ClustersInEveryTranspose) {
  on_hopper([] {
    every_transpose({.math = GemmMath::bf16, .plan = wgmma_plan(kClusterTile)},
                    kWgmmaTiles[kClusterTile]);
  });
}

TEST(CudaGemmWgmma, ClustersOfWhichOneBlockHasNoRows) {
  on_hopper([] {
    for (int64_t m : {128, 256, 257, 385}) {  // one, two, three and four tiles below each other
      Case c{.math = GemmMath::f16, .m = m, .n = 40, .k = 72, .plan = wgmma_plan(kClusterTile)};
      c.transpose_a = m % 2;
      run_case(c);
      if (testing::Test::HasFatalFailure()) return;
    }
  });
}

TEST(CudaGemmWgmma, EveryActivation) {
  on_hopper([] {
    for (Activation a : {Activation::relu, Activation::relu6, Activation::sigmoid, Activation::silu,
                         Activation::gelu, Activation::hardswish, Activation::hardsigmoid}) {
      Case c{.math = GemmMath::bf16, .m = 5, .n = 9, .k = 3, .plan = wgmma_plan(1)};
      c.alpha = 0.25f;
      c.activation = a;
      run_case(c);
    }
  });
}

TEST(CudaGemmWgmma, NothingToAdd) {
  on_hopper([] {
    Array<float> c(6), bias(std::vector<float>{1, 2, 3});
    GemmProblem p{.math = GemmMath::bf16, .m = 2, .n = 3, .k = 0};
    p.b_stride = 8, p.c_stride = 3, p.c = c.data(), p.bias = bias.data();
    gemm(p, wgmma_plan(0), {});
    EXPECT_EQ(c.host(), (std::vector<float>{1, 2, 3, 1, 2, 3}));
    p.m = 0;
    gemm(p, wgmma_plan(0), {});
  });
}

GemmProblem sized(GemmMath math, int64_t m, int64_t n, int64_t k) {
  GemmProblem p{.math = math, .m = m, .n = n, .k = k};
  p.a_stride = k, p.b_stride = n, p.c_stride = n;
  return p;
}

constexpr GemmDevice kH100{132, true};

TEST(CudaGemmWgmma, WhereItIsExpectedToBeFaster) {
  auto plan = [](GemmProblem p, GemmVariant variant, bool works = true) {
    p.variant = variant;
    return plan_gemm(p, {132, works});
  };
  constexpr auto kAutomatic = GemmVariant::automatic, kWgmma = GemmVariant::wgmma;
  const GemmProblem large = sized(GemmMath::bf16, 4096, 4096, 4096);
  EXPECT_EQ(plan(large, kAutomatic), wgmma_plan(kClusterTile));
  EXPECT_EQ(plan(large, kWgmma), wgmma_plan(kClusterTile));
  EXPECT_FALSE(plan(large, GemmVariant::mma).wgmma);
  for (auto variant : {kAutomatic, kWgmma}) EXPECT_FALSE(plan(large, variant, false).wgmma);
  EXPECT_FALSE(plan(sized(GemmMath::bf16, 32, 10, 512), kAutomatic).wgmma);  // a tile nearly empty
  EXPECT_EQ(plan(sized(GemmMath::f16, 100352, 128, 256), kWgmma), wgmma_plan(1));
  EXPECT_GT(plan(sized(GemmMath::f16, 64, 1000, 2048), kWgmma).splits, 1);
  EXPECT_FALSE(plan(sized(GemmMath::tf32, 4096, 4096, 4096), kWgmma).wgmma);
  EXPECT_FALSE(plan(sized(GemmMath::f32, 4096, 4096, 4096), kWgmma).wgmma);
}

TEST(CudaGemmWgmma, ClustersWhereTheyPay) {
  auto tile = [](int64_t m, int64_t n, int64_t k) {
    GemmProblem p = sized(GemmMath::bf16, m, n, k);
    p.variant = GemmVariant::wgmma;
    return plan_gemm(p, kH100).tile;
  };
  EXPECT_EQ(tile(8192, 8192, 8192), kClusterTile);
  EXPECT_EQ(tile(50176, 256, 1024), kClusterTile);  // a 1 x 1 convolution of 256 images
  EXPECT_EQ(tile(1024, 4096, 4096), 0);             // a single wave
  EXPECT_EQ(tile(128, 65536, 4096), 0);             // one row of tiles: nobody to share with
}

TEST(CudaGemmWgmma, OperandsThatItCannotTakeGoElsewhere) {
  GemmProblem stride = sized(GemmMath::bf16, 64, 64, 63), address = sized(GemmMath::bf16, 8, 8, 8);
  address.a = reinterpret_cast<const void*>(2);
  for (GemmProblem p : {stride, address}) {
    p.variant = GemmVariant::wgmma;
    EXPECT_FALSE(wgmma_takes(p));
    EXPECT_EQ(plan_gemm(p, kH100).tile, kNarrowTile);
    EXPECT_FALSE(plan_gemm(p, kH100).wgmma);
    EXPECT_THROW(gemm(p, wgmma_plan(0), {}), std::invalid_argument);
  }
}

TEST(CudaGemmWgmma, PlannedByTheProblem) {
  on_hopper([] {
    Case c{.math = GemmMath::f16, .m = 70, .n = 40, .k = 100, .plan = {}};
    for (bool aligned : {true, false}) {
      c.aligned = aligned;
      GemmProblem p = sized(c.math, c.m, c.n, stride_of(c, c.k));
      p.variant = GemmVariant::wgmma;
      c.plan = plan_gemm(p, gemm_device());
      EXPECT_EQ(c.plan.wgmma, aligned);
      run_case(c);
    }
  });
}

}  // namespace
}  // namespace graft::cuda
