#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/elementwise.h"

namespace graft {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

double ulps(float got, double exact) {  // error in units of the last place of a float
  int exponent = 0;
  std::frexp(exact, &exponent);
  return std::abs(double(got) - exact) / std::ldexp(1.0, exponent - 24);
}

TEST(Elementwise, ExpIsAccurate) {
  double worst = 0;
  for (float x = -87; x < 88; x += 0.0037f)
    worst = std::max(worst, ulps(exp_f32(x), std::exp(double(x))));
  EXPECT_LT(worst, 1.5);
  EXPECT_EQ(exp_f32(0), 1);
  EXPECT_LT(exp_f32(-kInf), 1.2e-38f);
  EXPECT_GT(exp_f32(kInf), 2e38f);
  EXPECT_TRUE(std::isnan(exp_f32(kNaN)));
}

TEST(Elementwise, ErfIsAccurate) {
  double worst = 0;
  for (float x = -5; x < 5; x += 0.00037f)
    worst = std::max(worst, ulps(erf_f32(x), std::erf(double(x))));
  EXPECT_LT(worst, 3);
  EXPECT_EQ(erf_f32(0), 0);
  EXPECT_EQ(erf_f32(10), 1);
  EXPECT_EQ(erf_f32(-kInf), -1);
  EXPECT_TRUE(std::isnan(erf_f32(kNaN)));
}

TEST(Elementwise, NaNStaysNaNThroughEveryActivation) {
  for (int i = 0; i <= int(Activation::hardswish); ++i) {
    float y = 0;
    cpu::activate(Activation(i), 1, &kNaN, &y);
    EXPECT_TRUE(std::isnan(y)) << name_of(Activation(i));
  }
}

TEST(Elementwise, ActivationsFarOut) {
  auto f = [](Activation a, float x) {
    float y = 0;
    cpu::activate(a, 1, &x, &y);
    return y;
  };
  EXPECT_EQ(f(Activation::sigmoid, 100), 1);
  EXPECT_NEAR(f(Activation::sigmoid, -100), 0, 1e-37);
  EXPECT_EQ(f(Activation::relu6, 100), 6);
  EXPECT_EQ(f(Activation::silu, 100), 100);
  EXPECT_EQ(f(Activation::gelu, 100), 100);
  EXPECT_EQ(f(Activation::gelu, -100), 0);
  EXPECT_EQ(f(Activation::hardswish, -100), 0);
}

TEST(Elementwise, GradientsAtTheKinksAreTorchs) {
  const float x[] = {-3, 0, 3, 6}, ones[] = {1, 1, 1, 1};
  float y[4], dx[4];
  auto gradient = [&](Activation a) {
    cpu::activate(a, 4, x, y);
    cpu::activate_backward(a, 4, ones, x, y, dx);
    return std::vector<float>(dx, dx + 4);
  };
  EXPECT_EQ(gradient(Activation::relu), (std::vector<float>{0, 0, 1, 1}));
  EXPECT_EQ(gradient(Activation::relu6), (std::vector<float>{0, 0, 1, 0}));
  EXPECT_EQ(gradient(Activation::hardswish), (std::vector<float>{-0.5f, 0.5f, 1.5f, 1}));
}

TEST(Elementwise, InPlace) {
  std::vector<float> x{-1, 2, -3}, b{1, 1, 1};
  cpu::activate(Activation::relu, 3, x.data(), x.data());
  cpu::add(3, x.data(), b.data(), x.data());
  EXPECT_EQ(x, (std::vector<float>{1, 3, 1}));
}

TEST(Elementwise, DropoutOfAPartIsAPartOfTheDropout) {
  constexpr int64_t n = 100003;
  std::vector<float> ones(n, 1.0f), all(n), part(n);
  const int64_t index = 7;
  DropoutMask mask{0.3f, {123, 456}, &index};
  cpu::dropout(mask, n, ones.data(), all.data());
  for (int64_t length : {1, 63, 64, 65, 20000}) {
    cpu::dropout(mask, length, ones.data(), part.data());
    EXPECT_TRUE(std::equal(part.begin(), part.begin() + length, all.begin())) << length;
  }
  double kept = 0, neighbours = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    kept += all[i] > 0;
    if (i) neighbours += all[i] > 0 && all[i - 1] > 0;
  }
  EXPECT_NEAR(kept / n, 0.7, 0.006);
  EXPECT_NEAR(neighbours / n, 0.49, 0.008);
}

}  // namespace
}  // namespace graft
