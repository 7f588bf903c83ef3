#include "io/resize.h"

#include <cmath>

#include "io/resize_passes.h"
#include "tests/image_files.h"
#include "tests/npy.h"

namespace graft {
namespace {

using test::Bytes;
using test::picture;

ImageView view_of(const Bytes& rgb, int width, int height) {
  return {rgb.data(), width, height, int64_t(width) * 3};
}

using enum Interpolation;

Bytes resized(const Bytes& rgb, int w, int h, int out_w, int out_h, Box window = {},
              Interpolation interpolation = bilinear) {
  if (window.width() == 0) window = {0, 0, out_w, out_h};
  Bytes out(size_t(window.width()) * size_t(window.height()) * 3);
  Resize resize(w, h, out_w, out_h, window, interpolation);
  resize.run(view_of(rgb, w, h), out.data(), window.width() * 3);
  return out;
}

double triangle(double x) { return std::max(0.0, 1 - std::abs(x)); }

// Keys' cubic convolution with a = -1/2, as his paper has it.
double cubic(double x) {
  const double s = std::abs(x), a = -0.5;
  if (s < 1) return (a + 2) * s * s * s - (a + 3) * s * s + 1;
  return s < 2 ? a * s * s * s - 5 * a * s * s + 8 * a * s - 4 * a : 0;
}

// The definition, in double and without rounding between the passes.
double exact_value(Interpolation interpolation, const Bytes& rgb, int w, int h, int out_w, int out_h,
                   int x, int y, int c) {
  auto filter = interpolation == bicubic ? cubic : triangle;
  auto taps = [=](int in, int out, int i) {
    double scale = double(in) / out, widen = std::max(scale, 1.0), centre = (i + 0.5) * scale;
    std::vector<std::pair<int, double>> list;
    double sum = 0;
    for (int k = 0; k < in; ++k) {
      double weight = filter((k + 0.5 - centre) / widen);
      if (weight != 0) list.emplace_back(k, weight), sum += weight;
    }
    for (auto& [k, weight] : list) weight /= sum;
    return list;
  };
  double value = 0;
  for (auto [sy, wy] : taps(h, out_h, y)) {
    double row = 0;
    for (auto [sx, wx] : taps(w, out_w, x)) row += wx * rgb[size_t((sy * w + sx) * 3 + c)];
    value += wy * std::clamp(row, 0.0, 255.0);  // 8 bits between the passes
  }
  return std::clamp(value, 0.0, 255.0);
}

const std::vector<std::array<int, 4>> sizes = {
    {1, 1, 7, 5},     {2, 2, 3, 3},    {1, 40, 20, 10},  {300, 1, 8, 8},    {17, 13, 17, 13},
    {64, 48, 20, 15}, {31, 57, 90, 8}, {200, 150, 3, 2}, {333, 250, 64, 47}};

class ResizeBy : public testing::TestWithParam<Interpolation> {};

TEST_P(ResizeBy, FollowsTheDefinition) {
  for (auto [w, h, out_w, out_h] : sizes) {
    Bytes rgb = picture(w, h), out = resized(rgb, w, h, out_w, out_h, {}, GetParam());
    for (int y = 0; y < out_h; ++y) {
      for (int x = 0; x < out_w; ++x) {
        for (int c = 0; c < 3; ++c) {
          ASSERT_NEAR(out[size_t((y * out_w + x) * 3 + c)],
                      exact_value(GetParam(), rgb, w, h, out_w, out_h, x, y, c), 1.3)
              << w << "x" << h << " -> " << out_w << "x" << out_h << " at " << x << "," << y;
        }
      }
    }
  }
}

TEST(Resize, SameSizeIsTheSamePicture) {
  EXPECT_EQ(resized(picture(33, 21), 33, 21, 33, 21), picture(33, 21));
}

TEST(Resize, ConstantStaysConstant) {
  for (auto [w, h, out_w, out_h] : sizes) {
    for (int value : {0, 1, 128, 255}) {
      Bytes out = resized(Bytes(size_t(w * h * 3), uint8_t(value)), w, h, out_w, out_h);
      EXPECT_EQ(out, Bytes(out.size(), uint8_t(value)));
    }
  }
}

TEST(Resize, ExtremeShapesNeedNoMoreThanTheWindow) {
  Bytes line = picture(1, 10000);
  Bytes out = resized(line, 1, 10000, 224, 2240000, {0, 1119888, 224, 1120112});
  EXPECT_EQ(out.size(), 224u * 224 * 3);
  EXPECT_EQ(resized(line, 1, 10000, 1, 1).size(), 3u);
  EXPECT_EQ(resized(picture(10000, 1), 10000, 1, 5, 5).size(), 75u);
}

// A window of the result, from a view that holds only what it needs, equals the cut-out of all.
TEST(Resize, WindowsAndViewsEqualTheWhole) {
  for (auto [w, h, out_w, out_h] : sizes) {
    Bytes rgb = picture(w, h), all = resized(rgb, w, h, out_w, out_h);
    Random random(uint64_t(w), "windows");
    for (int n = 0; n < 20; ++n) {
      Box box;
      box.x0 = int(random.below(uint64_t(out_w)));
      box.y0 = int(random.below(uint64_t(out_h)));
      box.x1 = box.x0 + 1 + int(random.below(uint64_t(out_w - box.x0)));
      box.y1 = box.y0 + 1 + int(random.below(uint64_t(out_h - box.y0)));
      Resize resize(w, h, out_w, out_h, box);
      Box source = resize.source();
      Bytes part;  // exactly the source, in memory of its own
      for (int y = source.y0; y < source.y1; ++y) {
        auto row = rgb.begin() + (y * w + source.x0) * 3;
        part.insert(part.end(), row, row + source.width() * 3);
      }
      ImageView view{part.data(), source.width(), source.height(), source.width() * 3, source.x0,
                     source.y0};
      Bytes out(size_t(box.width() * box.height() * 3));
      resize.run(view, out.data(), box.width() * 3);
      for (int y = 0; y < box.height(); ++y) {
        ASSERT_EQ(std::memcmp(&out[size_t(y * box.width() * 3)],
                              &all[size_t(((box.y0 + y) * out_w + box.x0) * 3)],
                              size_t(box.width() * 3)), 0);
      }
    }
  }
}

TEST(Resize, AViewThatIsTooSmallIsRefused) {
  Bytes rgb = picture(10, 10);
  Resize resize(20, 10, 5, 5, {0, 0, 5, 5});
  Bytes out(75);
  EXPECT_THROW(resize.run(view_of(rgb, 10, 10), out.data(), 15), Error);
}

TEST_P(ResizeBy, VectorCodeEqualsPlainCode) {
  for (auto [w, h, out_w, out_h] : sizes) {
    ResizeTaps taps(w, out_w, 0, out_w, GetParam());
    std::vector<Bytes> rows, fast(4, Bytes(size_t(out_w * 3 + resize_slack))), plain = fast;
    const uint8_t* in[4];
    uint8_t *a[4], *b[4];
    for (size_t k = 0; k < 4; ++k) {
      rows.push_back(picture(w, 1, 3, k));
      rows[k].resize(rows[k].size() + resize_slack);
    }
    for (size_t k = 0; k < 4; ++k) in[k] = rows[k].data(), a[k] = fast[k].data(), b[k] = plain[k].data();
    column_pass(taps, in, a);
    column_pass_plain(taps, in, b);
    for (size_t k = 0; k < 4; ++k) EXPECT_EQ(std::memcmp(a[k], b[k], size_t(out_w * 3)), 0);

    ResizeTaps down(h, out_h, 0, out_h, GetParam());
    Bytes all = picture(w, h), x(size_t(w * 3)), y = x;
    for (int i = 0; i < out_h; ++i) {
      const uint8_t* from = &all[size_t(down.first[size_t(i)] * w * 3)];
      const int32_t* weight = &down.weight[size_t(i * down.stride)];
      row_pass(from, w * 3, down.count[size_t(i)], weight, x.data(), w * 3);
      row_pass_plain(from, w * 3, down.count[size_t(i)], weight, y.data(), 0, w * 3);
      EXPECT_EQ(x, y);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Filters, ResizeBy, testing::Values(bilinear, bicubic),
                         [](auto& info) { return name_of(info.param); });

// Written by tests/decode_reference.py with PIL: bicubic_WxH_OWxOH.npy with in_WxH.npy.
TEST(Resize, EqualsPil) {
  std::string folder = test::reference_folder();
  if (folder.empty()) GTEST_SKIP() << "GRAFT_REFERENCE_DIR is not set";
  int compared = 0;
  for (auto& line : test::lines_of(folder + "/resize.txt")) {
    int w, h, out_w, out_h;
    char name[16];
    ASSERT_EQ(std::sscanf(line.c_str(), "%15s %d %d %d %d", name, &w, &h, &out_w, &out_h), 5);
    test::Npy in = test::read_npy(fmt::format("{}/in_{}x{}.npy", folder, w, h));
    test::Npy want = test::read_npy(
        fmt::format("{}/{}_{}x{}_{}x{}.npy", folder, name, w, h, out_w, out_h));
    EXPECT_EQ(test::largest_difference(resized(in.values, w, h, out_w, out_h, {},
                                               name == std::string("bicubic") ? bicubic : bilinear),
                                       want.values), 0) << line;
    ++compared;
  }
  EXPECT_GT(compared, 10);
}

}  // namespace
}  // namespace graft
