#include "layers/lbfgs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/check.h"

namespace graft {
namespace {

using End = LbfgsResult::End;
using Span = std::span<const double>;

// sum_i c_i (x_i - i)^2 / 2 with c_i from 1 to `condition`.
Objective bowl(double condition) {
  return [=](Span x, std::span<double> g) {
    double value = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      double c = std::pow(condition, double(i) / double(x.size() - 1)), off = x[i] - double(i);
      value += c * off * off / 2;
      g[i] = c * off;
    }
    return value;
  };
}

double rosenbrock(Span x, std::span<double> g) {
  double a = 1 - x[0], b = x[1] - x[0] * x[0];
  g[0] = -2 * a - 400 * b * x[0];
  g[1] = 200 * b;
  return a * a + 100 * b * b;
}

TEST(Lbfgs, FindsTheBottomOfABowl) {
  std::vector<double> x(50, 100.0);
  LbfgsResult r = minimize(x, bowl(1e3));
  EXPECT_EQ(r.end, End::gradient);
  EXPECT_LE(r.gradient, 1e-5);
  EXPECT_LT(r.iterations, 500);  // steepest descent takes some 10^4
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], double(i), 1e-5);
}

TEST(Lbfgs, FollowsRosenbrocksValley) {
  std::vector<double> x = {-1.2, 1};
  LbfgsResult r = minimize(x, rosenbrock);
  EXPECT_EQ(r.end, End::gradient);
  EXPECT_NEAR(x[0], 1, 1e-4);
  EXPECT_NEAR(x[1], 1, 1e-4);
  EXPECT_LT(r.value, 1e-9);
}

TEST(Lbfgs, AtTheMinimumItStays) {
  std::vector<double> x = {1, 1};
  EXPECT_EQ(minimize(x, rosenbrock).iterations, 0);
  EXPECT_EQ(x, (std::vector<double>{1, 1}));
}

TEST(Lbfgs, StepsThatOverflowAreShortened) {  // e^x1000 - x: the first step of length 1 is infinite
  std::vector<double> x = {0};
  Objective f = [](Span x, std::span<double> g) {
    g[0] = 1000 * std::exp(1000 * x[0]) - 2000;
    return std::exp(1000 * x[0]) - 2000 * x[0];
  };
  EXPECT_NE(minimize(x, f).end, End::iterations);
  EXPECT_NEAR(x[0], std::log(2.0) / 1000, 1e-6);
}

TEST(Lbfgs, ValuesInSinglePrecisionEndWhereTheyFallNoMore) {
  std::vector<double> x(20, 3.0);
  Objective exact = bowl(100), rounded = [&](Span x, std::span<double> g) {
    double value = 1e3 + exact(x, g);
    for (double& v : g) v = double(float(v)) + 1e-4;  // a gradient that never vanishes
    return double(float(value));
  };
  LbfgsResult r = minimize(x, rounded, {.tolerance = 1e-7});
  EXPECT_NE(r.end, End::iterations);
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], double(i), 0.02);
}

TEST(Lbfgs, ASolutionFarFromTheToleranceIsRough) {
  for (double offset : {5e-5, 5e-3}) {  // of a gradient that never vanishes
    std::vector<double> x(20, 3.0);
    Objective off = [&, exact = bowl(100)](Span x, std::span<double> g) {
      const double value = exact(x, g);
      for (double& v : g) v += offset;
      return value;
    };
    const LbfgsResult r = minimize(x, off, {.tolerance = 1e-5, .noise = 0});
    EXPECT_EQ(r.end, End::precision);
    EXPECT_EQ(r.rough({.tolerance = 1e-5}), offset > 1e-4) << r.gradient;
  }
  const LbfgsResult stuck{End::stuck, 3, 1.0, 1.0};
  EXPECT_FALSE(stuck.rough({})) << "is no solution";
}

TEST(Lbfgs, WhereTheGradientLiesNothingIsSolved) {  // it points uphill
  std::vector<double> x(20, 3.0);
  Objective lying = [exact = bowl(100)](Span x, std::span<double> g) {
    const double value = exact(x, g);
    for (double& v : g) v = -v;
    return value;
  };
  const LbfgsResult r = minimize(x, lying);
  EXPECT_EQ(r.end, End::stuck);
  EXPECT_FALSE(r.solved());
  EXPECT_GT(r.gradient, 1);
}

TEST(Lbfgs, EndsWhenItIsTold) {
  std::vector<double> x(50, 100.0);
  EXPECT_EQ(minimize(x, bowl(1e6), {.max_iterations = 3}).end, End::iterations);
  int asked = 0;
  EXPECT_EQ(minimize(x, bowl(1e6), {}, [&] { return ++asked == 3; }).end, End::stopped);
  EXPECT_EQ(asked, 3);
}

TEST(Lbfgs, ANonfiniteStartIsAnError) {
  std::vector<double> x = {0};
  EXPECT_THROW(minimize(x, [](Span, std::span<double>) { return NAN; }), Error);
}

}  // namespace
}  // namespace graft
