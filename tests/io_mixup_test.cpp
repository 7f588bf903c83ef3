#include "io/mixup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "io/sampling.h"

namespace graft {
namespace {

// Mean 1/2 and variance 1 / (4 (2a + 1)).
TEST(Mix, SharesAreFromBeta) {
  for (double a : {0.2, 1.0, 4.0}) {
    double sum = 0, squares = 0;
    constexpr int n = 20000;
    for (int i = 0; i < n; ++i) {
      Random random(1, "beta", uint64_t(i));
      double x = draw_beta(a, random);
      ASSERT_TRUE(x >= 0 && x <= 1) << x;
      sum += x, squares += (x - 0.5) * (x - 0.5);
    }
    const double variance = 1 / (4 * (2 * a + 1));
    EXPECT_NEAR(sum / n, 0.5, 4 * std::sqrt(variance / n)) << a;
    EXPECT_NEAR(squares / n, variance, 0.03 * variance) << a;
  }
}

TEST(Mix, OfVerySmallAlphasIsFinite) {
  for (int i = 0; i < 200; ++i) {
    Random random(1, "beta", uint64_t(i));
    double x = draw_beta(1e-3, random);
    EXPECT_TRUE(x >= 0 && x <= 1) << x;
  }
}

TEST(Mix, IsAFunctionOfItsRandomNumbersAndPairsAll) {
  for (uint64_t step = 0; step < 20; ++step) {
    Mix a = draw_mix({.mixup = 0.4, .cutmix = 1}, 7, 32, Random(3, "mix", step));
    Mix b = draw_mix({.mixup = 0.4, .cutmix = 1}, 7, 32, Random(3, "mix", step));
    EXPECT_EQ(a.share, b.share);
    EXPECT_EQ(a.partners, b.partners);
    EXPECT_EQ(a.patch, b.patch);
    std::sort(a.partners.begin(), a.partners.end());
    for (int64_t i = 0; i < 7; ++i) EXPECT_EQ(a.partners[size_t(i)], i);
  }
}

TEST(Mix, PartnersAreRows) {
  Tensor labels = Tensor({3}, DType::i32);
  for (int i = 0; i < 3; ++i) labels.mutable_data<int32_t>()[i] = 10 + i;
  Tensor partners = partners_of(labels, {.share = 1, .partners = {2, 0, 1}});
  EXPECT_EQ(partners.data<int32_t>()[0], 12);
  EXPECT_EQ(partners.data<int32_t>()[2], 11);
}

Dataset data_of(const std::vector<int>& sizes) {
  Dataset data;
  for (size_t c = 0; c < sizes.size(); ++c) {
    data.classes.push_back(std::to_string(c));
    for (int i = 0; i < sizes[c]; ++i) data.samples.push_back({"x", int(c)});
  }
  return data;
}

TEST(BalancedOrder, GivesEachClassItsPlaces) {
  Dataset data = data_of({50, 3, 0, 10});
  for (uint64_t epoch = 0; epoch < 5; ++epoch) {
    std::vector<int64_t> order = balanced_order(data, 1, epoch);
    ASSERT_EQ(order.size(), 63u);
    std::vector<int> times(63), places(4);
    for (int64_t i : order) ++times[size_t(i)], ++places[size_t(data.samples[size_t(i)].label)];
    EXPECT_EQ(places, (std::vector<int>{21, 21, 0, 21}));
    for (int i = 0; i < 50; ++i) EXPECT_LE(times[size_t(i)], 1);
    for (int i = 50; i < 53; ++i) EXPECT_EQ(times[size_t(i)], 7);
    for (int i = 53; i < 63; ++i) EXPECT_TRUE(times[size_t(i)] == 2 || times[size_t(i)] == 3);
    EXPECT_EQ(order, balanced_order(data, 1, epoch));
    EXPECT_NE(order, balanced_order(data, 1, epoch + 1));
    EXPECT_NE(order, balanced_order(data, 2, epoch));
  }
}

TEST(BalancedOrder, SharesOutWhatIsLeftOver) {
  Dataset data = data_of({5, 3, 3});
  std::vector<int> places(3);
  for (int64_t i : balanced_order(data, 1, 0)) ++places[size_t(data.samples[size_t(i)].label)];
  std::sort(places.begin(), places.end());
  EXPECT_EQ(places, (std::vector<int>{3, 4, 4}));
  EXPECT_TRUE(balanced_order(data_of({0, 0}), 1, 0).empty());
}

}  // namespace
}  // namespace graft
