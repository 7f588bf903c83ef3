// The beginning of a batch, of which some samples have pixels and others are kept.
#include "io/first_samples.h"

#include <gtest/gtest.h>

#include "core/check.h"

namespace graft {
namespace {

Tensor pixels_of(int64_t n) {  // (n,1,1,3), the i-th all i
  Tensor t({n, 1, 1, 3}, DType::u8);
  for (int64_t i = 0; i < t.size(); ++i) t.mutable_data<uint8_t>()[i] = uint8_t(i / 3);
  return t;
}

Batch four() {
  const std::vector<int32_t> labels{3, 2, 1, 0};
  return {.images = pixels_of(4), .labels = Tensor::from<int32_t>({4}, labels),
          .indices = {9, 8, 7, 6}, .number = 5};
}

TEST(FirstSamples, OfABatchOfPixels) {
  const Batch first = first_samples(four(), 3);
  EXPECT_EQ(first.images.shape(), (Shape{3, 1, 1, 3}));
  EXPECT_EQ(first.images.data<uint8_t>()[6], 2);
  EXPECT_EQ(first.labels.shape(), (Shape{3}));
  EXPECT_EQ(first.labels.data<int32_t>()[2], 1);
  EXPECT_EQ(first.indices, (std::vector<int64_t>{9, 8, 7}));
  EXPECT_EQ(first.number, 5);
  EXPECT_TRUE(first.keys.empty() && first.kept.empty());
}

TEST(FirstSamples, OfABatchOfWhichSomeAreKept) {
  Batch batch = four();
  batch.keys.resize(4);
  batch.kept = {Tensor::full({2}, 1), {}, Tensor::full({2}, 3), {}};
  batch.images = pixels_of(2);  // of the second and the fourth
  const Batch one = first_samples(batch, 1), two = first_samples(batch, 2), all = first_samples(batch, 4);
  EXPECT_FALSE(one.images.defined());
  EXPECT_EQ(one.keys.size(), 1u);
  EXPECT_TRUE(one.kept.at(0).defined());
  EXPECT_EQ(two.images.dim(0), 1);
  EXPECT_FALSE(two.kept.at(1).defined());
  EXPECT_EQ(all.images.dim(0), 2);
}

TEST(FirstSamples, NoneOrMoreThanThereAreIsAnError) {
  EXPECT_THROW(first_samples(four(), 0), Error);
  EXPECT_THROW(first_samples(four(), 5), Error);
}

}  // namespace
}  // namespace graft
