// A head of stored images: its votes against the formula in double.
#include "layers/neighbour_head.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/ops.h"
#include "layers/neighbour_vote.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

constexpr int64_t kImages = 9, kChannels = 5, kClasses = 3;

NeighbourHead head_of(int64_t k) {
  NeighbourHead head(kChannels, kClasses, k, kImages);
  head.store(normal({kImages, kChannels}, 1), labels_of(kImages, kClasses));
  return head;
}

double cosine(const float* a, const float* b) {
  double ab = 0, aa = 0, bb = 0;
  for (int64_t i = 0; i < kChannels; ++i)
    ab += double(a[i]) * b[i], aa += double(a[i]) * a[i], bb += double(b[i]) * b[i];
  return ab / std::sqrt(aa * bb);
}

std::vector<double> shares_of(const float* x, const Tensor& known, int64_t k) {
  std::multimap<double, int32_t, std::greater<>> by_cosine;
  const Tensor labels = labels_of(kImages, kClasses);
  for (int64_t j = 0; j < kImages; ++j)
    by_cosine.emplace(cosine(x, known.data() + j * kChannels), labels.data<int32_t>()[j]);
  std::vector<double> votes(kClasses, 0);
  double total = 0;
  for (auto [s, label] : by_cosine) {
    if (k-- == 0) break;
    votes[size_t(label)] += std::exp(s / 0.07);
    total += std::exp(s / 0.07);
  }
  for (double& vote : votes) vote /= total;
  return votes;
}

TEST(NeighbourHead, SoftmaxGivesTheShares) {
  const Tensor known = normal({kImages, kChannels}, 1), asked = normal({4, kChannels}, 2);
  for (int64_t k : {1, 4, 100}) {
    NeighbourHead head = head_of(k);
    const Tensor y = head(asked), p = softmax(y);
    ASSERT_EQ(y.shape(), (Shape{4, kClasses}));
    for (int64_t n = 0; n < 4; ++n) {
      const std::vector<double> want = shares_of(asked.data() + n * kChannels, known, k);
      for (int64_t c = 0; c < kClasses; ++c) {
        EXPECT_NEAR(p.data()[n * kClasses + c], want[size_t(c)], 5e-5) << "k " << k;
        EXPECT_GE(y.data()[n * kClasses + c], 0) << "a ReLU would cut";
      }
    }
  }
}

TEST(NeighbourHead, OfAMapTheMeanCounts) {
  NeighbourHead head = head_of(3);
  const Tensor map = normal({2, 3, 4, kChannels}, 5), y = head(map);
  EXPECT_EQ(y.shape(), (Shape{2, 1, 1, kClasses}));
  expect_close(y.reshape({2, kClasses}), head(global_avg_pool(map)), 1e-6);
}

TEST(NeighbourHead, StoresDirectionsAndClasses) {
  NeighbourHead head = head_of(3);
  for (int64_t j = 0; j < kImages; ++j) {
    double length = 0, images = 0;
    for (int64_t c = 0; c < kChannels; ++c) length += std::pow(head.images.data()[j * kChannels + c], 2);
    for (int64_t c = 0; c < kClasses; ++c) images += head.weight.data()[c * kImages + j];
    EXPECT_NEAR(length, 1, 1e-6);
    EXPECT_EQ(images, 1);
    EXPECT_EQ(head.weight.data()[labels_of(kImages, kClasses).data<int32_t>()[j] * kImages + j], 1);
  }
}

TEST(NeighbourHead, WhatIsNotFiniteIsNotHidden) {
  NeighbourHead head = head_of(3);
  Tensor x = normal({2, kChannels}, 2);
  x.mutable_data()[1] = NAN;
  const Tensor y = head(x);
  EXPECT_TRUE(std::isnan(y.data()[0]));
  EXPECT_TRUE(std::isfinite(y.data()[kClasses]));
}

TEST(NeighbourHead, RefusesWhatIsOfAnotherSize) {
  NeighbourHead head = head_of(3);
  EXPECT_THROW(head.store(normal({kImages - 1, kChannels}, 1), labels_of(kImages - 1, kClasses)), Error);
  EXPECT_THROW(head.store(normal({kImages, kChannels + 1}, 1), labels_of(kImages, kClasses)), Error);
  EXPECT_THROW(head.store(normal({kImages, kChannels}, 1), labels_of(kImages, kClasses + 1)), Error);
}

}  // namespace
}  // namespace graft
