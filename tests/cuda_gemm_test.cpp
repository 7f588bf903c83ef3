// Matrix products on CUDA: every tile, type and way of storing, at sizes around the tile's. Factors
// are small integers, so that sums are exact in any order and results must be equal.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cuda/gemm_plan.h"
#include "kernels/elementwise.h"
#include "tests/cuda_matrix.h"

namespace graft::cuda {
namespace {

struct Case {
  GemmMath math = GemmMath::f32;
  bool transpose_a = false, transpose_b = false;
  int64_t m = 1, n = 1, k = 1;
  GemmPlan plan;
  DType c_type = DType::f32;
  int64_t pad = 0;      // elements between rows, more than alignment wants
  size_t offset = 0;    // elements of a and b before the first, to misalign them
  bool aligned = true;  // rows of a and b begin at multiples of 16 bytes
  float alpha = 1, beta = 0;
  bool bias = false, in_place = false;
  Activation activation = Activation::none;
};

const char* name_of(GemmMath math) {
  constexpr const char* names[] = {"f32", "tf32", "bf16", "f16"};
  return names[int(math)];
}

std::string text(const Case& c) {
  auto flag = [](const char* name, bool on) { return on ? std::string(" ") + name : ""; };
  return name_of(c.math) + std::string(" ") + std::to_string(c.m) + " x " + std::to_string(c.n) +
         " x " + std::to_string(c.k) + ", tile " + std::to_string(c.plan.tile) + ", splits " +
         std::to_string(c.plan.splits) + ", c " + graft::name_of(c.c_type) +
         flag("a^T", c.transpose_a) + flag("b^T", c.transpose_b) + flag("bias", c.bias) +
         flag("beta", c.beta != 0) + flag("in place", c.in_place) + flag("narrow", !c.aligned) +
         ", " + graft::name_of(c.activation);
}

DType factor_type(GemmMath math) {
  return math == GemmMath::bf16 ? DType::bf16 : math == GemmMath::f16 ? DType::f16 : DType::f32;
}

int64_t stride_of(const Case& c, int64_t columns) {
  const int64_t per_copy = 16 / element_size(c.math);
  return c.aligned ? (columns + per_copy - 1) / per_copy * per_copy + c.pad * per_copy
                   : columns + c.pad;
}

float activated(Activation activation, float x) {
  float y = 0;
  with_activation(activation, [&](auto op) { y = op.f(x); });
  return y;
}

// The exact product, rounded to c's type as stored.
std::vector<float> expected(const Case& c, const Matrix& a, const Matrix& b, const Matrix& residual,
                            const std::vector<float>& bias) {
  std::vector<float> factor_b(size_t(c.k * c.n)), row(size_t(c.n)), result;
  for (int64_t k = 0; k < c.k; ++k)
    for (int64_t n = 0; n < c.n; ++n)
      factor_b[size_t(k * c.n + n)] = c.transpose_b ? b.at(n, k) : b.at(k, n);
  for (int64_t m = 0; m < c.m; ++m) {
    std::fill(row.begin(), row.end(), 0.0f);
    for (int64_t k = 0; k < c.k; ++k) {
      const float factor = c.transpose_a ? a.at(k, m) : a.at(m, k);
      const float* line = factor_b.data() + k * c.n;
      for (int64_t n = 0; n < c.n; ++n) row[size_t(n)] += factor * line[n];
    }
    for (int64_t n = 0; n < c.n; ++n) {
      const float sum = c.alpha * row[size_t(n)] + (c.beta != 0 ? c.beta * residual.at(m, n) : 0) +
                        (c.bias ? bias[size_t(n)] : 0);
      result.push_back(decode(encode({activated(c.activation, sum)}, c.c_type), 0, c.c_type));
    }
  }
  return result;
}

void run_case(const Case& c) {
  SCOPED_TRACE(text(c));
  const DType type = factor_type(c.math);
  const int64_t a_rows = c.transpose_a ? c.k : c.m, a_columns = c.transpose_a ? c.m : c.k;
  const int64_t b_rows = c.transpose_b ? c.n : c.k, b_columns = c.transpose_b ? c.k : c.n;
  Matrix a = matrix(type, a_rows, a_columns, stride_of(c, a_columns), c.offset, 1);
  Matrix b = matrix(type, b_rows, b_columns, stride_of(c, b_columns), c.offset, 2);
  const int64_t c_stride = c.n + c.pad;
  Matrix residual = matrix(c.c_type, c.m, c.n, c_stride, 0, 3);
  std::vector<float> bias(size_t(c.n));
  for (size_t i = 0; i < bias.size(); ++i) bias[i] = float(int(i % 7) - 3);
  Array<float> device_bias(bias);
  const size_t c_bytes = residual.values.size() * size_of(c.c_type);
  Array<uint8_t> separate(c_bytes);  // NaN
  const Array<uint8_t>& out = c.in_place ? *residual.bytes : separate;

  GemmProblem p{.math = c.math, .transpose_a = c.transpose_a, .transpose_b = c.transpose_b};
  p.m = c.m, p.n = c.n, p.k = c.k;
  p.a = a.data(), p.a_stride = a.stride, p.b = b.data(), p.b_stride = b.stride;
  p.c = out.data(), p.c_stride = c_stride, p.c_type = c.c_type;
  p.alpha = c.alpha, p.beta = c.beta, p.activation = c.activation;
  if (c.bias) p.bias = device_bias.data();
  if (c.beta != 0) p.residual = residual.data(), p.residual_stride = c_stride;
  ASSERT_EQ(sixteen_byte_copies(p), c.aligned);
  gemm(p, c.plan, {});

  const std::vector<uint8_t> got = out.host();
  const std::vector<float> want = expected(c, a, b, residual, bias);
  const bool exact = gradient_from_output(c.activation) && c.activation != Activation::sigmoid;
  for (int64_t m = 0; m < c.m; ++m)
    for (int64_t n = 0; n < c_stride; ++n) {
      if (m == c.m - 1 && n >= c.n) break;
      const float value = decode(got, size_t(m * c_stride + n), c.c_type);
      if (n >= c.n) {
        ASSERT_TRUE(std::isnan(value)) << "written between rows, at " << m << ", " << n;
        continue;
      }
      const float right = want[size_t(m * c.n + n)];
      const float tolerance = exact ? 0 : 2e-6f * std::max(1.0f, std::fabs(right));
      ASSERT_LE(std::fabs(value - right), tolerance)
          << "at " << m << ", " << n << ": " << value << ", expected " << right;
      ASSERT_FALSE(std::isnan(value)) << "at " << m << ", " << n;
    }
}

// ---- which cases

struct Shape {
  int64_t m, n, k;
};

std::vector<Shape> shapes_around(const GemmTile& tile, int step) {
  const int64_t m = tile.m, n = tile.n, k = step;
  return {{1, 1, 1},     {1, 2 * n + 3, k},     {2 * m + 3, 1, 2 * k + 3},
          {m, n, k - 1}, {m - 1, n + 1, k + 1}, {m + 1, n - 1, k * tile.stages + 3}};
}

void every_transpose(Case c, const GemmTile& tile) {
  for (Shape shape : shapes_around(tile, tile.step_bytes / element_size(c.math)))
    for (int transposed = 0; transposed < 4; ++transposed) {
      c.transpose_a = transposed & 1;
      c.transpose_b = transposed & 2;
      c.m = shape.m, c.n = shape.n, c.k = shape.k;
      run_case(c);
      if (testing::Test::HasFatalFailure()) return;
    }
}

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
    return plan_gemm(p, 108);  // A100
  };
  EXPECT_EQ(plan(GemmMath::bf16, 4096, 4096, 4096), (GemmPlan{0, 1}));
  EXPECT_EQ(plan(GemmMath::f32, 4096, 4096, 4096), (GemmPlan{0, 1}));
  EXPECT_EQ(plan(GemmMath::bf16, 100352, 64, 256).tile, 1);
  EXPECT_EQ(plan(GemmMath::bf16, 4095, 4095, 4095).tile, kNarrowTile);
  EXPECT_GT(plan(GemmMath::bf16, 64, 1000, 2048).splits, 1);  // a head
  EXPECT_GT(plan(GemmMath::f32, 64, 64, 100352).splits, 4);   // a weight's gradient
  EXPECT_EQ(plan(GemmMath::f32, 64, 64, 16).splits, 1);
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
