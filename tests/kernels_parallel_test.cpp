// At sizes where work is really shared: the same bits for 1, 2 and 3 threads, and sums as exact as
// double allows.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/norm.h"
#include "kernels/parallel.h"
#include "kernels/pool.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"

namespace graft::cpu {
namespace {

using Floats = std::vector<float>;

Floats noise(int64_t n, unsigned seed) {
  Floats v(static_cast<size_t>(n));
  for (float& x : v) {
    seed = seed * 1664525u + 1013904223u;
    x = float(seed >> 8) * 0x1p-23f - 1.0f;
  }
  return v;
}

// Runs work(out) with 1, 2 and 3 threads on a fresh array of n floats.
void expect_same_bits(int64_t n, const std::function<void(float*)>& work) {
  const int before = thread_count();
  Floats first;
  for (int threads : {1, 2, 3}) {
    set_thread_count(threads);
    Floats out(size_t(n), -7.0f);
    work(out.data());
    if (first.empty()) first = out;
    EXPECT_EQ(std::memcmp(out.data(), first.data(), out.size() * sizeof(float)), 0)
        << threads << " threads";
  }
  set_thread_count(before);
}

TEST(Parallel, ForVisitsEveryIndexOnce) {
  for (int64_t count : {0, 1, 2, 5, 1000})
    for (int64_t grain : {1, 3, 5000}) {
      std::vector<int> seen(size_t(count), 0);
      parallel_for(count, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) ++seen[size_t(i)];
      });
      EXPECT_EQ(seen, std::vector<int>(size_t(count), 1));
    }
}

TEST(Parallel, SumsAreExactAndFixed) {
  constexpr int64_t n = 1000003;
  Floats x = noise(n, 1), y = noise(n, 2);
  double exact = 0, squares = 0, product = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    exact += double(x[i]);
    squares += double(x[i]) * double(x[i]);
    product += double(x[i]) * double(y[i]);
  }
  EXPECT_NEAR(sum(n, x.data()), exact, 1e-3);
  EXPECT_NEAR(sum_of_squares(n, x.data()), squares, 1e-6 * squares);
  EXPECT_NEAR(dot(n, x.data(), y.data()), product, 1e-3);
  EXPECT_EQ(sum(0, nullptr), 0);
  expect_same_bits(3, [&](float* out) {
    out[0] = float(sum(n, x.data()));
    out[1] = float(sum_of_squares(n, x.data()));
    out[2] = float(dot(n, x.data(), y.data()));
  });
}

TEST(Parallel, ColumnSums) {
  constexpr int64_t rows = 20011, c = 37;
  Floats x = noise(rows * c, 3), y = noise(rows * c, 4), got(static_cast<size_t>(c));
  dot_rows(rows, c, x.data(), y.data(), got.data());
  double exact = 0;
  for (int64_t row = 0; row < rows; ++row)
    exact += double(x[size_t(row * c + 5)]) * double(y[size_t(row * c + 5)]);
  EXPECT_NEAR(got[5], exact, 1e-3);
  expect_same_bits(c, [&](float* out) { sum_rows(rows, c, x.data(), out); });
  expect_same_bits(c, [&](float* out) { dot_rows(rows, c, x.data(), y.data(), out); });
}

TEST(Parallel, BatchNorm) {
  constexpr int64_t rows = 5003, c = 19, n = rows * c;
  Floats x = noise(n, 5), dy = noise(n, 6), gamma = noise(c, 7), beta = noise(c, 8);
  Floats mean(static_cast<size_t>(c)), var(mean), rstd(mean), y(static_cast<size_t>(n));
  expect_same_bits(2 * c,
                   [&](float* out) { batch_norm_statistics(rows, c, x.data(), {.mean = out, .var = out + c}); });
  batch_norm_statistics(rows, c, x.data(), {.mean = mean.data(), .var = var.data()});
  batch_norm_rstd(c, var.data(), 1e-5f, rstd.data());
  NormProblem p{rows, c, mean.data(), rstd.data(), gamma.data(), beta.data(), Activation::relu};
  expect_same_bits(n, [&](float* out) { batch_norm_forward(p, x.data(), dy.data(), out); });
  batch_norm_forward(p, x.data(), nullptr, y.data());
  for (auto backward : {batch_norm_backward_train, batch_norm_backward_frozen})
    expect_same_bits(2 * n + 2 * c, [&](float* out) {
      backward(p, x.data(), y.data(), dy.data(), {out, out + 2 * n, out + 2 * n + c, out + n});
    });
}

TEST(Parallel, Pooling) {
  PoolProblem p{3, 70, pool_axis(41, 3, 2, 1, 1, true, true),
                pool_axis(40, 3, 2, 1, 0, true, false)};
  Floats x = noise(p.in_size(), 9), dy = noise(p.out_size(), 10);
  std::vector<uint8_t> tap(size_t(p.out_size()));
  expect_same_bits(p.out_size(), [&](float* out) { max_pool(p, x.data(), out, tap.data()); });
  expect_same_bits(p.in_size(),
                   [&](float* out) { max_pool_backward(p, dy.data(), tap.data(), out); });
  expect_same_bits(p.out_size(), [&](float* out) { avg_pool(p, x.data(), out); });
  expect_same_bits(p.in_size(), [&](float* out) { avg_pool_backward(p, dy.data(), out); });
}

TEST(Parallel, MaxPoolTakesTheFirstOfEqualsAndKeepsNaN) {
  PoolProblem p{1, 1, pool_axis(1, 1, 1, 0, 0, false, true), pool_axis(4, 4, 4, 0, 0, false, true)};
  float y = 0, dx[4];
  uint8_t tap = 9;
  const float one = 1, ties[] = {1, 3, 3, 2}, broken[] = {1, NAN, 5, 2},
              low[] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
  max_pool(p, ties, &y, &tap);
  EXPECT_EQ(tap, 1);
  max_pool_backward(p, &one, &tap, dx);
  EXPECT_EQ(std::vector<float>(dx, dx + 4), (std::vector<float>{0, 1, 0, 0}));
  max_pool(p, broken, &y, &tap);
  EXPECT_TRUE(std::isnan(y));
  max_pool(p, low, &y, &tap);
  EXPECT_EQ(y, -INFINITY);
  EXPECT_EQ(tap, 0);
}

TEST(Parallel, SoftmaxAndCrossEntropy) {
  constexpr int64_t rows = 301, classes = 103;
  Floats x = noise(rows * classes, 11);
  std::vector<int32_t> labels(static_cast<size_t>(rows));
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = int32_t(i * 31 % classes);
  CrossEntropyProblem p{rows, classes, labels.data(), nullptr, 0.1f};
  expect_same_bits(rows * classes, [&](float* out) { softmax(rows, classes, x.data(), out); });
  expect_same_bits(rows * classes + 1,
                   [&](float* out) { out[rows * classes] = cross_entropy(p, x.data(), out); });
}

TEST(Parallel, CrossEntropyOfExtremeLogits) {
  const float logits[] = {1000, -1000, 0, -88, 0, -1e30f};
  const int32_t labels[] = {1, 1};
  float d[6];
  CrossEntropyProblem p{2, 3, labels};
  EXPECT_FLOAT_EQ(cross_entropy(p, logits, d), 1000.0f);
  EXPECT_FLOAT_EQ(d[0], 0.5f);
  EXPECT_FLOAT_EQ(d[1], -0.5f);
  for (float v : d) EXPECT_TRUE(std::isfinite(v));
}

}  // namespace
}  // namespace graft::cpu
