#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "kernels/layout.h"

namespace graft::cpu {
namespace {

std::vector<float> counted(int64_t n) {
  std::vector<float> v(static_cast<size_t>(n));
  std::iota(v.begin(), v.end(), 0.0f);
  return v;
}

TEST(Layout, ConvolutionWeights) {
  constexpr int64_t O = 5, I = 37, H = 3, W = 2;
  std::vector<float> published = counted(O * I * H * W), ours(published.size()), back(ours);
  oihw_to_ohwi(O, I, H, W, published.data(), ours.data());
  for (int64_t o = 0; o < O; ++o)
    for (int64_t i = 0; i < I; ++i)
      for (int64_t h = 0; h < H; ++h)
        for (int64_t w = 0; w < W; ++w)
          ASSERT_EQ(ours[size_t(((o * H + h) * W + w) * I + i)],
                    published[size_t(((o * I + i) * H + h) * W + w)]);
  ohwi_to_oihw(O, I, H, W, ours.data(), back.data());
  EXPECT_EQ(back, published);
}

TEST(Layout, LinearAfterFlatten) {
  constexpr int64_t rows = 3, C = 4, H = 5, W = 2;
  std::vector<float> published = counted(rows * C * H * W), ours(published.size()), back(ours);
  chw_to_hwc_columns(rows, C, H, W, published.data(), ours.data());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < C; ++c)
      for (int64_t at = 0; at < H * W; ++at)
        ASSERT_EQ(ours[size_t((r * H * W + at) * C + c)],
                  published[size_t((r * C + c) * H * W + at)]);
  hwc_to_chw_columns(rows, C, H, W, ours.data(), back.data());
  EXPECT_EQ(back, published);
}

TEST(Layout, RowsBetweenStrides) {
  std::vector<float> from = counted(24), to(60, -1.0f);
  copy_rows(2, 3, 4, from.data(), {12, 4}, to.data() + 1, {30, 6});
  for (int p = 0; p < 2; ++p)
    for (int r = 0; r < 3; ++r)
      for (int j = 0; j < 4; ++j)
        ASSERT_EQ(to[size_t(p * 30 + r * 6 + j + 1)], from[size_t(p * 12 + r * 4 + j)]);
  EXPECT_EQ(to[0], -1);
  EXPECT_EQ(to[5], -1);
}

TEST(Layout, NothingToCopy) { copy_rows(0, 0, 5, nullptr, {0, 0}, nullptr, {0, 0}); }

}  // namespace
}  // namespace graft::cpu
