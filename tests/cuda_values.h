// Values for the tests of CUDA kernels: small integers in any type, whose sums and products are
// exact, and comparison with what a test has computed in double.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/dtype.h"
#include "tests/cuda_array.h"

namespace graft::cuda {

using Floats = testing::Types<float, bf16, f16>;

// From -range to range.
template <class T>
std::vector<T> integers(size_t n, uint32_t seed, int range = 4) {
  std::mt19937 random(seed);
  std::vector<T> values(n);
  for (T& v : values) v = T(float(int(random() % unsigned(2 * range + 1)) - range));
  return values;
}

// Between low and high, of the type's precision.
template <class T>
std::vector<T> reals(size_t n, uint32_t seed, float low, float high) {
  std::mt19937 random(seed);
  std::vector<T> values(n);
  for (T& v : values) v = T(low + (high - low) * float(random() >> 8) * 0x1p-24f);
  return values;
}

template <class T>
std::vector<double> doubles(const std::vector<T>& values) {
  std::vector<double> result;
  for (const T& v : values) result.push_back(double(float(v)));
  return result;
}

// One rounding of the type, at most (relative).
template <class T>
constexpr double rounding = std::is_same_v<T, bf16> ? 0x1p-8
                            : std::is_same_v<T, f16> ? 0x1p-11
                                                     : 0x1p-24;

// Elements are equal once `want` is rounded to T; or differ by at most `tolerance` times
// max(1, |want|), and one rounding.
template <class T>
void expect_values(const std::vector<T>& got, const std::vector<double>& want,
                   double tolerance = 0) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const double value = double(float(got[i])), right = double(float(T(float(want[i]))));
    if (std::isnan(right) && std::isnan(value)) continue;
    const double allowed =
        tolerance == 0 ? 0 : (tolerance + 2 * rounding<T>) * std::max(1.0, std::fabs(right));
    ASSERT_TRUE(value == right || std::fabs(value - right) <= allowed)
        << "element " << i << " of " << got.size() << ": " << value << ", expected " << right;
  }
}

template <class T>
void expect_values(const Array<T>& got, const std::vector<double>& want, double tolerance = 0) {
  expect_values(got.host(), want, tolerance);
}

}  // namespace graft::cuda
