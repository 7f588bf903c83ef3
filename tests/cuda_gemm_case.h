// A case of a matrix product on CUDA, for tests: factors are small integers, so that sums are exact
// in any order and the result must be equal; what lies between c's rows must stay as it was.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/cuda/gemm_plan.h"
#include "kernels/elementwise.h"
#include "tests/cuda_matrix.h"

namespace graft::cuda {

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
  bool bias = false, in_place = false, moments = false;
  Activation activation = Activation::none;
};

inline const char* name_of(GemmMath math) {
  constexpr const char* names[] = {"f32", "tf32", "bf16", "f16"};
  return names[int(math)];
}

inline std::string text(const Case& c) {
  auto flag = [](const char* name, bool on) { return on ? std::string(" ") + name : ""; };
  return name_of(c.math) + std::string(" ") + std::to_string(c.m) + " x " + std::to_string(c.n) +
         " x " + std::to_string(c.k) + ", tile " + std::to_string(c.plan.tile) + ", splits " +
         std::to_string(c.plan.splits) + ", c " + graft::name_of(c.c_type) +
         flag("wgmma", c.plan.wgmma) + flag("a^T", c.transpose_a) + flag("b^T", c.transpose_b) +
         flag("bias", c.bias) + flag("beta", c.beta != 0) + flag("in place", c.in_place) +
         flag("moments", c.moments) +
         flag("narrow", !c.aligned) + ", " + graft::name_of(c.activation);
}

inline DType factor_type(GemmMath math) {
  return math == GemmMath::bf16 ? DType::bf16 : math == GemmMath::f16 ? DType::f16 : DType::f32;
}

inline int64_t stride_of(const Case& c, int64_t columns) {
  const int64_t per_copy = 16 / element_size(c.math);
  return c.aligned ? (columns + per_copy - 1) / per_copy * per_copy + c.pad * per_copy
                   : columns + c.pad;
}

inline float activated(Activation activation, float x) {
  float y = 0;
  with_activation(activation, [&](auto op) { y = op.f(x); });
  return y;
}

// The exact product, rounded to c's type as stored.
inline std::vector<float> expected(const Case& c, const Matrix& a, const Matrix& b,
                                   const Matrix& residual, const std::vector<float>& bias) {
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

// Of each tile of rows of c, whose values are `stored` (m, n): to a bound, for they are sums of squares.
inline void expect_moments(const std::vector<ChannelMoments>& found, const Case& c,
                           const std::vector<float>& stored, int64_t of_tile) {
  for (size_t i = 0; i < found.size(); ++i) {
    const int64_t begin = int64_t(i) / c.n * of_tile, end = std::min(begin + of_tile, c.m);
    auto value = [&](int64_t row) { return double(stored[size_t(row * c.n + int64_t(i) % c.n)]); };
    double mean = 0, spread = 0;
    for (int64_t row = begin; row < end; ++row) mean += value(row) / double(end - begin);
    for (int64_t row = begin; row < end; ++row) spread += std::pow(value(row) - mean, 2);
    ASSERT_NEAR(found[i].mean, mean, 1e-5 * (1 + std::fabs(mean))) << "moments " << i;
    ASSERT_NEAR(found[i].spread, spread, 1e-5 * (1 + spread)) << "moments " << i;
  }
}

inline void run_case(const Case& c) {
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
  const TileGrid tiles = rows_in_tiles(c.m, note_rows(p, c.plan));
  const Array<ChannelMoments> moments(size_t(tiles.count() * c.n));
  if (c.moments) p.moments = moments.data();
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
  if (c.moments) expect_moments(moments.host(), c, want, tiles.tile_width);
}

// ---- which cases

struct Shape {
  int64_t m, n, k;
};

inline std::vector<Shape> shapes_around(const GemmTile& tile, int step) {
  const int64_t m = tile.m, n = tile.n, k = step;
  return {{1, 1, 1},     {1, 2 * n + 3, k},     {2 * m + 3, 1, 2 * k + 3},
          {m, n, k - 1}, {m - 1, n + 1, k + 1}, {m + 1, n - 1, k * tile.stages + 3}};
}

inline void every_transpose(Case c, const GemmTile& tile) {
  for (Shape shape : shapes_around(tile, tile.step_bytes / element_size(c.math)))
    for (int transposed = 0; transposed < 4; ++transposed) {
      c.transpose_a = transposed & 1;
      c.transpose_b = transposed & 2;
      c.m = shape.m, c.n = shape.n, c.k = shape.k;
      run_case(c);
      if (testing::Test::HasFatalFailure()) return;
    }
}

}  // namespace graft::cuda
