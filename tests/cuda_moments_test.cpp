// Moments that convolutions leave of their results, and the statistics that batch norm has from them,
// against sums in double over the stored values.
#include <gtest/gtest.h>

#include <cmath>
#include <span>

#include "kernels/cuda/conv2d_launch.h"
#include "kernels/norm.h"
#include "tests/cuda_matrix.h"
#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

struct Statistics {
  std::vector<double> mean, var;
};

// Of x (rows, channels).
Statistics statistics_of(const std::vector<double>& x, size_t channels) {
  const double rows = double(x.size() / channels);
  Statistics s{std::vector<double>(channels), std::vector<double>(channels)};
  for (size_t i = 0; i < x.size(); ++i) s.mean[i % channels] += x[i] / rows;
  for (size_t i = 0; i < x.size(); ++i)
    s.var[i % channels] += std::pow(x[i] - s.mean[i % channels], 2) / rows;
  return s;
}

// A mean is known as well as the values are.
void expect_mean(const Array<float>& got, const std::vector<double>& want, const Statistics& of) {
  const std::vector<float> found = got.host();
  for (size_t j = 0; j < want.size(); ++j)
    ASSERT_NEAR(found[j], want[j], 2e-7 * (std::fabs(of.mean[j]) + std::sqrt(of.var[j]))) << j;
}

void expect_statistics(const Statistics& want, int64_t rows, const TileMoments& moments) {
  const size_t channels = want.mean.size();
  Array<float> mean(channels), var(channels), rstd(channels);
  Array<float> running_mean(std::vector<float>(channels, 2.0f));
  Array<float> running_var(std::vector<float>(channels, 3.0f));
  const bool moves = rows > 1;
  batch_norm_statistics(rows, int64_t(channels), moments,
                        {.mean = mean.data(),
                         .var = var.data(),
                         .rstd = rstd.data(),
                         .eps = 1e-3f,
                         .running_mean = moves ? running_mean.data() : nullptr,
                         .running_var = moves ? running_var.data() : nullptr,
                         .momentum = 0.1f},
                        {});
  std::vector<double> want_rstd, moved_mean, moved_var;
  for (size_t j = 0; j < channels; ++j) {
    want_rstd.push_back(1 / std::sqrt(want.var[j] + 1e-3));
    moved_mean.push_back(moves ? 0.9 * 2 + 0.1 * want.mean[j] : 2);
    moved_var.push_back(moves ? 0.9 * 3 + 0.1 * want.var[j] * double(rows) / double(rows - 1) : 3);
  }
  const bool exact = (rows & (rows - 1)) == 0;  // a sum of integers over a power of two
  if (exact) expect_values(mean, want.mean);
  expect_mean(mean, want.mean, want);
  expect_values(var, want.var, 1e-6);
  expect_values(rstd, want_rstd, 2e-6);
  expect_mean(running_mean, moved_mean, want);
  expect_values(running_var, moved_var, 1e-6);
}

TEST(CudaMoments, OfManyTilesMakeStatistics) {
  on_device([] {
    for (auto [tiles, channels] : {std::pair(1, 1), {2, 3}, {128, 4}, {129, 5}, {1100, 9}}) {
      SCOPED_TRACE(std::to_string(tiles) + " tiles, " + std::to_string(channels) + " channels");
      const int64_t of_tile = 6, rows = (tiles - 1) * of_tile + 2;
      const auto width = size_t(channels);
      std::vector<double> x = doubles(integers<float>(size_t(rows) * width, 1, 100));
      for (size_t i = 0; i < x.size(); i += width) x[i] += 1000;  // far from 0
      std::vector<ChannelMoments> moments;
      for (int64_t tile = 0; tile < tiles; ++tile) {
        const auto begin = size_t(tile * of_tile) * width,
                   end = std::min(begin + size_t(of_tile) * width, x.size());
        const Statistics s = statistics_of({x.begin() + long(begin), x.begin() + long(end)}, width);
        for (size_t j = 0; j < width; ++j)
          moments.push_back({float(s.mean[j]), float(s.var[j] * double((end - begin) / width))});
      }
      const Array<ChannelMoments> of(moments);
      expect_statistics(statistics_of(x, width), rows, {of.data(), rows_in_tiles(rows, of_tile)});
    }
  });
}

DType factor_type(GemmMath math) {
  return math == GemmMath::bf16 ? DType::bf16 : math == GemmMath::f16 ? DType::f16 : DType::f32;
}

struct Case {
  Conv2dProblem p;
  GemmMath math;
  GemmPlan plan;
  bool same = false;     // all values of a channel are
  bool compared = false;  // y with what it is without moments

  std::string text() const {
    return std::to_string(p.n) + " images of " + std::to_string(p.w) + " pixels, " +
           std::to_string(p.k) + " channels, " + std::to_string(p.groups) + " groups, math " +
           std::to_string(int(math)) + ", tile " + std::to_string(plan.tile) + ", splits " +
           std::to_string(plan.splits);
  }
};

// The moments of y = conv(x, w) + bias, checked; the bias puts some channels far from 0.
std::vector<ChannelMoments> moments_of(const Case& c) {
  const Conv2dProblem& p = c.p;
  const DType type = factor_type(c.math);
  const int64_t rows = p.n * p.out_h() * p.out_w(), x_size = p.n * p.h * p.w * p.c,
                w_size = p.k * p.r * p.s * p.c / p.groups;
  Matrix x = matrix(type, 1, x_size, x_size, 0, 1);
  if (c.same)
    x.bytes = std::make_unique<Array<uint8_t>>(encode(std::vector<float>(size_t(x_size), 3), type));
  const Matrix w = matrix(type, 1, w_size, w_size, 0, 2);
  std::vector<float> offsets(static_cast<size_t>(p.k));
  for (size_t j = 0; j < offsets.size(); ++j) offsets[j] = float(j % 3) * 1000;
  const Array<float> bias(offsets);
  Array<uint8_t> y(size_t(rows * p.k) * size_of(type)), plain(size_t(rows * p.k) * size_of(type));
  ConvWork work{.problem = p, .a = x.data(), .b = w.data(), .out = y.data(), .out_type = type};
  work.bias = bias.data();
  const int64_t of_tile = note_rows(ConvPass::fprop, c.math, work, c.plan);
  const TileGrid tiles = rows_in_tiles(rows, of_tile);
  Array<ChannelMoments> moments(size_t(tiles.count() * p.k));
  work.moments = moments.data();
  conv2d(ConvPass::fprop, c.math, work, c.plan, {});
  const std::vector<uint8_t> stored = y.host();
  if (c.compared) {
    work.out = plain.data(), work.moments = nullptr;
    conv2d(ConvPass::fprop, c.math, work, c.plan, {});
    EXPECT_EQ(stored, plain.host());
  }

  std::vector<double> values;
  for (size_t i = 0; i < size_t(rows * p.k); ++i) values.push_back(double(decode(stored, i, type)));
  expect_statistics(statistics_of(values, size_t(p.k)), rows, {moments.data(), tiles});
  return moments.host();
}

Conv2dProblem pixels_in_a_row(int64_t pixels, int64_t c, int64_t k) {
  return {.n = 1, .h = 1, .w = pixels, .c = c, .k = k, .r = 1, .s = 1};
}

// Of the first layer, whose tiles are 8 x 16 pixels of an image's.
TEST(CudaMoments, OfPhotographs) {
  constexpr Normalization kNormalization{
      1.0f / 128, {0.5f, 1.0f, 0.25f}, {1.0f, 0.5f, 2.0f}, false};
  on_device([&] {
    for (auto [images, h, w, k] : {std::tuple(1, 1, 1, 8),
                                   {2, 7, 15, 64},
                                   {3, 8, 16, 72},
                                   {2, 9, 17, 21},
                                   {1, 19, 35, 24}}) {
      SCOPED_TRACE(std::to_string(h) + " x " + std::to_string(w));
      Conv2dProblem p{.n = images, .h = h, .w = w, .c = 3, .k = k, .r = 3, .s = 3};
      p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = 1;
      const auto pixels = size_t(images * h * w), size = pixels * size_t(k);
      std::vector<uint8_t> bytes(pixels * 3);
      for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = uint8_t(i * 37 % 251);
      const Array<uint8_t> x(bytes);
      const Array<bf16> filters(reals<bf16>(size_t(k) * 27, 1, -1, 1));
      const Array<float> bias(reals<float>(size_t(k), 2, -100, 100));
      const TileGrid tiles = conv2d_first_moment_tiles(p);
      Array<ChannelMoments> moments(size_t(tiles.count() * k));
      Array<bf16> y(size), plain(size);
      ConvLastStep last{.bias = bias.data()};
      conv2d_first(GemmMath::bf16, p, x.data(), kNormalization, filters.data(), last, plain.data(),
                   DType::bf16, {});
      last.moments = moments.data();
      conv2d_first(GemmMath::bf16, p, x.data(), kNormalization, filters.data(), last, y.data(),
                   DType::bf16, {});
      const std::vector<double> stored = doubles(y.host());
      EXPECT_EQ(stored, doubles(plain.host()));
      expect_statistics(statistics_of(stored, size_t(k)), int64_t(pixels), {moments.data(), tiles});
      if (testing::Test::HasFatalFailure()) return;
    }
  });
}

class ConvMoments : public testing::TestWithParam<GemmMath> {
 protected:
  static std::span<const GemmTile> tiles() {
    if (!on_tensor_cores(GetParam())) return kSimtTiles;
    return std::span(kTensorTiles).first(kAlignedTiles);
  }
};

TEST_P(ConvMoments, OfEveryTile) {
  on_device([] {
    for (int tile = 0; tile < int(tiles().size()); ++tile)
      for (int m = tiles()[size_t(tile)].m;
           auto [pixels, k] : {std::pair(1, 24), {m - 1, 8}, {m, 21}, {m + 1, 72}, {2 * m + 3, 24}}) {
        const Case c{pixels_in_a_row(pixels, 16, k), GetParam(), {tile, 1}};
        SCOPED_TRACE(c.text());
        moments_of(c);
        if (HasFatalFailure()) return;
      }
  });
}

TEST_P(ConvMoments, OfASplitDepth) {
  on_device([] {
    for (auto [pixels, k] : {std::pair(1, 8), {31, 21}, {32, 36}, {33, 24}, {67, 40}}) {
      const Case c{pixels_in_a_row(pixels, 64, k), GetParam(), {1, 2}};
      SCOPED_TRACE(c.text());
      moments_of(c);
      if (HasFatalFailure()) return;
    }
  });
}

TEST_P(ConvMoments, OfGroupsAndOddChannels) {
  on_device([] {
    for (auto [c, k, groups] : {std::tuple(16, 32, 2), {6, 15, 3}, {7, 5, 1}}) {
      Conv2dProblem p = pixels_in_a_row(70, c, k);
      p.groups = groups;
      for (int splits : {1, 2}) moments_of({p, GetParam(), {1, splits}, false, true});
      if (HasFatalFailure()) return;
    }
  });
}

TEST_P(ConvMoments, OfDepthwiseFilters) {
  on_device([] {
    for (auto [images, channels] : {std::pair(1, 31), {2, 65}, {3, 40}}) {
      Conv2dProblem p{.n = images, .h = 9, .w = 8, .c = channels, .k = channels, .r = 3, .s = 3};
      p.groups = channels;
      p.pad_top = p.pad_left = 1;
      ASSERT_TRUE(is_depthwise(p));
      moments_of({p, GetParam(), {}});
      if (HasFatalFailure()) return;
    }
  });
}

TEST_P(ConvMoments, OfOneValueHaveNoSpread) {
  on_device([] {
    for (int splits : {1, 2})
      for (const ChannelMoments& m :
           moments_of({pixels_in_a_row(131, 64, 24), GetParam(), {0, splits}, true}))
        ASSERT_EQ(m.spread, 0);
  });
}

TEST_P(ConvMoments, AreTheSameBitsInEveryOrder) {
  std::vector<std::vector<ChannelMoments>> found;
  on_device([&] { found.push_back(moments_of({pixels_in_a_row(200, 16, 72), GetParam(), {1, 1}})); });
  for (const auto& other : found)
    for (size_t i = 0; i < other.size(); ++i) {
      ASSERT_EQ(other[i].mean, found[0][i].mean) << i;
      ASSERT_EQ(other[i].spread, found[0][i].spread) << i;
    }
}

std::string name_of_math(const testing::TestParamInfo<GemmMath>& info) {
  constexpr const char* names[] = {"f32", "tf32", "bf16", "f16"};
  return names[int(info.param)];
}
INSTANTIATE_TEST_SUITE_P(Cuda, ConvMoments,
                         testing::Values(GemmMath::f32, GemmMath::tf32, GemmMath::bf16,
                                         GemmMath::f16),
                         name_of_math);

}  // namespace
}  // namespace graft::cuda
