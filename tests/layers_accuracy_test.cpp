#include "layers/accuracy.h"

#include <gtest/gtest.h>

#include <cmath>

namespace graft {
namespace {

int64_t correct(std::initializer_list<float> row, int32_t label, int k) {
  Tensor labels({1}, DType::i32);
  labels.mutable_data<int32_t>()[0] = label;
  return count_correct(Tensor::from({1, int64_t(row.size())}, row), labels, k);
}

TEST(Accuracy, RanksByValueThenByIndex) {
  EXPECT_EQ(correct({1, 3, 2}, 1, 1), 1);
  EXPECT_EQ(correct({1, 3, 2}, 2, 1), 0);
  EXPECT_EQ(correct({1, 3, 2}, 2, 2), 1);
  EXPECT_EQ(correct({2, 2, 0}, 0, 1), 1);
  EXPECT_EQ(correct({2, 2, 0}, 1, 1), 0);
}

TEST(Accuracy, NanIsNeverRight) {
  EXPECT_EQ(correct({NAN, NAN, NAN}, 1, 1), 0);
  EXPECT_EQ(correct({0, NAN, 1}, 1, 1), 0);
  EXPECT_EQ(correct({0, NAN, 1}, 2, 1), 0);
}

}  // namespace
}  // namespace graft
