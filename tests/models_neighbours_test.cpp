// Votes of neighbours, against sets whose answer can be seen.
#include "models/neighbours.h"

#include <gtest/gtest.h>

#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

Features features_of(Shape shape, std::vector<float> values, std::vector<int32_t> labels) {
  const int64_t n = shape[0];
  return {Tensor::from<float>(std::move(shape), values), Tensor::from<int32_t>({n}, labels)};
}

// Directions in the plane at 0, 10, 80 and 90 degrees, of any length.
const Features known = features_of({4, 2}, {1, 0, 9.85f, 1.74f, 0.174f, 0.985f, 0, 3}, {0, 0, 1, 1});

TEST(Neighbours, AreCountedByDirection) {
  const Features asked = features_of({3, 2}, {100, 1, 0.1f, 7, 2, 1}, {0, 1, 0});
  EXPECT_EQ(neighbour_accuracy(known, asked, 2, {.k = 1}), 1);
  EXPECT_EQ(neighbour_accuracy(known, asked, 2, {.k = 4}), 1) << "nearer ones weigh more";
  const Features wrong = features_of({2, 2}, {100, 1, 0.1f, 7}, {1, 1});
  EXPECT_EQ(neighbour_accuracy(known, wrong, 2), 0.5);
}

// A label that stands alone is never told by the others; with the image itself it would always be.
TEST(Neighbours, AnImageDoesNotVoteForItself) {
  const Features lone = features_of({4, 2}, {1, 0, 9.85f, 1.74f, 0.174f, 0.985f, 0, 3}, {0, 0, 1, 2});
  EXPECT_EQ(neighbour_accuracy_left_out(lone, 3, {.k = 1}), 0.5);
  EXPECT_EQ(neighbour_accuracy(lone, lone, 3, {.k = 1}), 1);
  EXPECT_EQ(neighbour_accuracy_left_out(known, 2, {.k = 1}), 1);
}

// With a high temperature it is the majority of the k that counts, with a low one the nearest.
TEST(Neighbours, WeighByTheirCosine) {
  const Features three = features_of({3, 2}, {1, 0, 0.7f, 0.7f, 0.6f, 0.8f}, {0, 1, 1});
  const Features asked = features_of({1, 2}, {1, 0.1f}, {0});
  EXPECT_EQ(neighbour_accuracy(three, asked, 2, {.k = 3, .temperature = 0.05}), 1);
  EXPECT_EQ(neighbour_accuracy(three, asked, 2, {.k = 3, .temperature = 50}), 0);
}

TEST(Neighbours, OfAMapItsMeanCounts) {
  Tensor map = normal({6, 2, 2, 5}, 1);
  Tensor mean({6, 5});
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t c = 0; c < 5; ++c) {
      float sum = 0;
      for (int64_t p = 0; p < 4; ++p) sum += map.data()[(i * 4 + p) * 5 + c];
      mean.mutable_data()[i * 5 + c] = sum / 4;
    }
  const Features a{map, labels_of(6, 2)}, b{mean, labels_of(6, 2)};
  EXPECT_EQ(neighbour_accuracy_left_out(a, 2, {.k = 2}), neighbour_accuracy_left_out(b, 2, {.k = 2}));
}

}  // namespace
}  // namespace graft
