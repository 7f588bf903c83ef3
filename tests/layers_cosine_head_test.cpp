// The cosine head: its values against cosines in double, its gradients against central differences.
#include "layers/cosine_head.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/ops.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

CosineHead head_of(int64_t features, int64_t classes, float log_scale) {
  CosineHead head(features, classes);
  head.weight.copy_from(normal({classes, features}, 1));
  head.log_scale.copy_from(Tensor::full({1}, log_scale));
  return head;
}

double cosine(const float* a, const float* b, int64_t n) {
  double ab = 0, aa = 0, bb = 0;
  for (int64_t i = 0; i < n; ++i) {
    ab += double(a[i]) * b[i];
    aa += double(a[i]) * a[i];
    bb += double(b[i]) * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

TEST(CosineHead, IsTheCosineTimesTheFactor) {
  CosineHead head = head_of(7, 3, std::log(5.0f));
  for (const Shape& shape : {Shape{4, 7}, Shape{2, 3, 2, 7}}) {  // vectors and a map
    Tensor x = normal(shape, 2), y = head(x);
    ASSERT_EQ(y.dim(-1), 3);
    ASSERT_EQ(y.size(), x.size() / 7 * 3);
    for (int64_t i = 0; i < y.size(); ++i)
      EXPECT_NEAR(y.data()[i],
                  5 * cosine(x.data() + i / 3 * 7, head.weight.data() + i % 3 * 7, 7), 1e-5);
  }
}

TEST(CosineHead, LengthsDoNotMatterAndTheFactorIsAtMost100) {
  CosineHead head = head_of(7, 3, 9);
  Tensor x = normal({4, 7}, 3), y = head(x);
  expect_close(head(scale(x, 1000)), y, 1e-6);
  for (int64_t i = 0; i < y.size(); ++i) EXPECT_LE(std::abs(y.data()[i]), 100.001f);
}

TEST(CosineHead, GradientsAreCentralDifferences) {
  CosineHead head = head_of(6, 3, std::log(2.0f));
  Tensor x = normal({4, 6}, 4), labels = labels_of(4, 3);
  x.requires_grad(true);
  auto loss = [&] { return cross_entropy(head(x), labels); };
  loss().backward();
  for (Tensor* t : {&x, static_cast<Tensor*>(&head.weight), static_cast<Tensor*>(&head.log_scale)})
    for (int64_t i = 0; i < t->size(); ++i) {
      const float before = t->data()[i], step = 1e-2f;
      t->mutable_data()[i] = before + step;
      const double above = double(loss().item());
      t->mutable_data()[i] = before - step;
      const double below = double(loss().item());
      t->mutable_data()[i] = before;
      EXPECT_NEAR(t->grad().data()[i], (above - below) / (2 * step), 2e-4) << i;
    }
}

TEST(CosineHead, StartsWithoutAPreferenceAndAFactorOf10) {
  CosineHead head(64, 5);
  initialize_head(head, 3);
  Tensor y = head(normal({100, 64}, 5));
  double sum = 0;
  for (int64_t i = 0; i < y.size(); ++i) sum += double(y.data()[i]) * y.data()[i] / double(y.size());
  EXPECT_NEAR(std::sqrt(sum), 10 / std::sqrt(64.0), 0.2);  // of random directions
}

}  // namespace
}  // namespace graft
