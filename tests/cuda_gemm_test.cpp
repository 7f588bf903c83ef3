// Matrix products on CUDA: every tile, type and way of storing, at sizes around the tile's.
#include "tests/cuda_gemm_case.h"

namespace graft::cuda {
namespace {

class TensorCores : public testing::TestWithParam<GemmMath> {};

TEST_P(TensorCores, EveryTileAndTranspose) {
  on_device([] {
    for (int tile = 0; tile < kAlignedTiles; ++tile) {
      every_transpose({.math = GetParam(), .plan = {tile, 1}}, kTensorTiles[tile]);
      if (HasFatalFailure()) return;
    }
  });
}

TEST_P(TensorCores, OperandsOfAnyAlignment) {
  on_device([] {
    const Case c{.math = GetParam(), .plan = {kNarrowTile, 1}, .offset = 1, .aligned = false};
    every_transpose(c, kTensorTiles[kNarrowTile]);
  });
}

std::string math_of(const testing::TestParamInfo<GemmMath>& info) { return name_of(info.param); }
INSTANTIATE_TEST_SUITE_P(Cuda, TensorCores,
                         testing::Values(GemmMath::tf32, GemmMath::bf16, GemmMath::f16), math_of);

TEST(CudaGemm, SimtEveryTileAndTranspose) {
  on_device([] {
    for (int tile = 0; tile < kSimtTileCount; ++tile) {
      every_transpose({.plan = {tile, 1}}, kSimtTiles[tile]);
      if (testing::Test::HasFatalFailure()) return;
    }
  });
}

TEST(CudaGemm, SimtOperandsOfAnyAlignment) {
  on_device([] {
    every_transpose({.plan = {1, 1}, .offset = 1, .aligned = false}, kSimtTiles[1]);
  });
}

std::vector<Case> of_each_kind(const Case& like) {
  std::vector<Case> cases;
  for (GemmMath math : {GemmMath::f32, GemmMath::tf32, GemmMath::bf16, GemmMath::f16}) {
    Case c = like;
    c.math = math;
    c.plan.tile = math == GemmMath::f32 ? 1 : 2;  // 64 x 64
    cases.push_back(c);
  }
  return cases;
}

TEST(CudaGemm, SplitsAddUp) {
  on_device([] {
    for (int splits : {2, 3, 16})  // of 7 steps and a bit in bf16: some parts are shorter
      for (Case c : of_each_kind({.m = 65, .n = 70, .k = 227, .plan = {0, splits}, .bias = true})) {
        run_case(c);
        if (testing::Test::HasFatalFailure()) return;
      }
    for (Case c : of_each_kind({.m = 3, .n = 64, .k = 130, .plan = {0, 4}, .beta = 1})) {
      c.transpose_a = true;  // as the gradient of a weight
      c.in_place = true;
      run_case(c);
    }
  });
}

TEST(CudaGemm, LastStep) {
  on_device([] {
    for (int64_t n : {36, 37})  // in whole fours, and not
      for (Case c : of_each_kind({.m = 20, .n = n, .k = 24, .pad = 4, .alpha = 0.5f})) {
        run_case(c);
        c.beta = 2;
        run_case(c);
        c.in_place = c.bias = true;
        c.c_type = factor_type(c.math);
        c.activation = Activation::relu;
        run_case(c);
        if (testing::Test::HasFatalFailure()) return;
      }
  });
}

// Every tile, at rows and columns around its own; c in f32 and as the factors are.
TEST(CudaGemm, LeavesMoments) {
  on_device([] {
    auto run_tile = [](Case c, const GemmTile& t) {
      for (auto [m, n] : {std::pair(1, 1), {t.m - 1, t.n + 3}, {t.m, t.n}, {2 * t.m + 3, 37}})
        for (DType type : {DType::f32, factor_type(c.math)}) {
          c.m = m, c.n = n, c.c_type = type;
          run_case(c);
          if (testing::Test::HasFatalFailure()) return;
        }
    };
    Case c{.k = 40, .bias = true, .moments = true};
    for (int tile = 0; tile < kSimtTileCount; ++tile) {
      c.plan.tile = tile;
      run_tile(c, kSimtTiles[tile]);
    }
    c.alpha = 257 / 256.0f;  // exact in f32; c is rounded, and the moments are of what is stored
    for (int tile = 0; tile <= kNarrowTile; ++tile) {
      c.math = tile % 2 ? GemmMath::f16 : GemmMath::bf16;
      c.aligned = tile != kNarrowTile, c.offset = c.aligned ? 0 : 1;
      c.plan.tile = tile;
      run_tile(c, kTensorTiles[tile]);
    }
  });
}

TEST(CudaGemm, SplitsLeaveMoments) {
  on_device([] {
    for (auto [m, n] : {std::pair(1, 1), {32, 36}, {33, 70}, {67, 32}})
      for (Case c : of_each_kind({.m = m, .n = n, .k = 163, .plan = {0, 3}, .moments = true})) {
        c.c_type = factor_type(c.math);
        run_case(c);
        if (testing::Test::HasFatalFailure()) return;
      }
  });
}

TEST(CudaGemm, MomentsAreOfTheTilesThatAreTold) {
  on_device([] {
    for (int64_t k : {16, 4096}) {  // whole, and split
      GemmProblem p{.math = GemmMath::bf16, .m = 70, .n = 24, .k = k};
      p.a_stride = k, p.b_stride = p.c_stride = 24;
      const GemmPlan plan = plan_gemm(p, gemm_device());
      EXPECT_EQ(plan.splits > 1, k == 4096);
      EXPECT_EQ(gemm_moment_tiles(p).tile_width, note_rows(p, plan));
      EXPECT_EQ(gemm_moment_tiles(p).width, 70);
    }
  });
}

TEST(CudaGemm, EveryActivation) {
  on_device([] {
    for (Activation a : {Activation::relu, Activation::relu6, Activation::sigmoid, Activation::silu,
                         Activation::gelu, Activation::hardswish, Activation::hardsigmoid}) {
      Case c{.m = 5, .n = 9, .k = 3, .plan = {1, 1}, .aligned = false};
      c.alpha = 0.25f;
      c.activation = a;
      run_case(c);
    }
  });
}

TEST(CudaGemm, NothingToAdd) {
  on_device([] {
    Array<float> c(6);
    const std::vector<float> bias = {1, 2, 3};
    Array<float> device_bias(bias);
    GemmProblem p{.m = 2, .n = 3, .k = 0};
    p.b_stride = p.c_stride = 3;
    p.c = c.data();
    p.bias = device_bias.data();
    for (GemmMath math : {GemmMath::f32, GemmMath::tf32, GemmMath::bf16}) {
      p.math = math;
      gemm(p, {});
      EXPECT_EQ(c.host(), (std::vector<float>{1, 2, 3, 1, 2, 3}));
    }
    p.m = 0;
    gemm(p, {});
  });
}

TEST(CudaGemm, PlainOverloadIsTheProcessorsGemm) {
  on_device([] {
    Array<float> a(std::vector<float>{1, 2, 3, 4, 5, 6});  // stored (3,2): a^T is (2,3)
    Array<float> b(std::vector<float>{1, 0, 0, 1, 1, 1});  // (3,2)
    Array<float> c(std::vector<float>{10, 20, 30, 40});
    gemm(GemmMath::f32, true, false, 2, 2, 3, 2, a.data(), b.data(), 1, c.data(), {});
    EXPECT_EQ(c.host(), (std::vector<float>{22, 36, 46, 60}));
  });
}

TEST(CudaGemm, RefusesWhatItCannotDo) {
  GemmProblem p{.m = 2, .n = 3, .k = 4};
  p.a_stride = 4, p.b_stride = 3, p.c_stride = 3;
  GemmProblem wide = p, overlapping = p, type = p;
  wide.m = int64_t(1) << 31;
  overlapping.c_stride = 2;
  type.math = GemmMath::bf16, type.c_type = DType::f16;
  EXPECT_THROW(gemm(wide, {}), std::invalid_argument);
  EXPECT_THROW(gemm(overlapping, {}), std::invalid_argument);
  EXPECT_THROW(gemm(type, {}), std::invalid_argument);
}

TEST(CudaGemm, PlansSuitTheShape) {
  auto plan = [](GemmMath math, int64_t m, int64_t n, int64_t k) {
    GemmProblem p{.math = math, .m = m, .n = n, .k = k};
    p.a_stride = k, p.b_stride = n;
    return plan_gemm(p, {108, false});  // A100
  };
  EXPECT_EQ(plan(GemmMath::bf16, 4096, 4096, 4096), (GemmPlan{0, 1}));
  EXPECT_EQ(plan(GemmMath::f32, 4096, 4096, 4096), (GemmPlan{0, 1}));
  EXPECT_EQ(plan(GemmMath::bf16, 100352, 64, 256).tile, 1);
  EXPECT_EQ(plan(GemmMath::bf16, 4095, 4095, 4095).tile, kNarrowTile);
  EXPECT_GT(plan(GemmMath::bf16, 64, 1000, 2048).splits, 1);  // a head
  EXPECT_GT(plan(GemmMath::f32, 64, 64, 100352).splits, 4);   // a weight's gradient
  EXPECT_EQ(plan(GemmMath::f32, 64, 64, 16).splits, 1);
}

// As many as fill the device, each with a ring of steps, all within a bound of memory.
TEST(CudaGemm, SplitsFillTheDeviceWithinBounds) {
  auto plan = [](int64_t m, int64_t n, int64_t k) {
    GemmProblem p{.math = GemmMath::bf16, .m = m, .n = n, .k = k};
    p.a_stride = p.b_stride = 16;
    return plan_gemm(p, {132, true});
  };
  EXPECT_GE(plan(64, 64, 802816).splits, 100);
  EXPECT_LE(plan(64, 64, 1024).splits, 8);  // 32 steps of mma, 4 of them in a ring
  EXPECT_EQ(plan(0, 64, 802816).splits, 1);
  for (int64_t m : {128, 512, 2048})
    for (int64_t n : {128, 1024, 4096})
      EXPECT_LE(plan(m, n, int64_t(1) << 30).splits * m * n * 4, int64_t(128) << 20) << m << " " << n;
}

// More of them than the reads that a thread has under way together, and another number.
TEST(CudaGemm, ManySplitsAddUp) {
  on_device([] {
    for (int splits : {17, 37})
      for (Case c : of_each_kind({.m = 33, .n = 20, .k = 1250, .plan = {1, splits}, .bias = true})) {
        run_case(c);
        if (testing::Test::HasFatalFailure()) return;
      }
  });
}

TEST(CudaGemm, SplitsOfKAreWholeStepsAndNeverEmpty) {
  for (int64_t k : {0, 1, 31, 32, 33, 224, 227, 100000})
    for (int wanted : {1, 2, 3, 7, 16}) {
      const GemmSplit split = split_k(k, 32, wanted);
      EXPECT_EQ(split.length % 32, 0);
      EXPECT_LE(split.count, wanted);
      EXPECT_GE(split.length * split.count, k);
      EXPECT_LT(split.length * (split.count - 1), std::max<int64_t>(k, 1));
    }
}

}  // namespace
}  // namespace graft::cuda
