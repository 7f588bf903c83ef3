// The gradient of the first layer's filters from bytes. Normalised pixels and gradients are small
// integers, so that sums are exact in any order and results equal; reals to a bound.
#include "kernels/conv2d.h"
#include "tests/conv2d_problem.h"
#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

template <class Factors>
struct CudaFirstGradient : testing::Test {};
template <class T, GemmMath math>
struct Of {
  using Type = T;
  static constexpr GemmMath kMath = math;
};
struct F32 : Of<float, GemmMath::f32> {};
struct Tf32 : Of<float, GemmMath::tf32> {};
struct Bf16 : Of<bf16, GemmMath::bf16> {};
struct F16 : Of<f16, GemmMath::f16> {};
using EveryMath = testing::Types<F32, Tf32, Bf16, F16>;
TYPED_TEST_SUITE(CudaFirstGradient, EveryMath);

constexpr Normalization kWhole{.scale = 1, .mean = {4, 6, 8}, .std = {2, 1, 2}};  // of even bytes

// With so many outputs; `rest` rows and columns more than they read.
Conv2dProblem with_outputs(int64_t n, int64_t rows, int64_t columns, int64_t k, int64_t filter,
                           int stride, int pad, int rest = 0) {
  Conv2dProblem p = square(n, 1, 3, k, filter, stride, pad);
  p.h = (rows - 1) * stride + filter - 2 * pad + rest;
  p.w = (columns - 1) * stride + filter - 2 * pad + rest;
  return p;
}

std::string text(const Conv2dProblem& p) {
  auto n = [](int64_t value) { return std::to_string(value) + " "; };
  return "x " + n(p.n) + n(p.h) + n(p.w) + "w " + n(p.k) + n(p.r) + n(p.s) + "stride " +
         n(p.stride_h) + n(p.stride_w) + "pad " + n(p.pad_top) + n(p.pad_left);
}

struct Sums {  // (k, r, s, 3)
  std::vector<double> of, of_absolutes;
};

template <class T>
Sums reference(const Conv2dProblem& p, const Normalization& normal,
               const std::vector<uint8_t>& pixels, const std::vector<T>& dy) {
  const PixelTable table = pixel_table(normal);
  const size_t filter = size_t(p.r * p.s * 3);
  Sums sums{std::vector<double>(size_t(p.k) * filter), std::vector<double>(size_t(p.k) * filter)};
  auto at_tap = [&](const T* of_output, int64_t image, int64_t row, int64_t column, size_t tap) {
    if (row < 0 || row >= p.h || column < 0 || column >= p.w) return;
    const uint8_t* pixel = &pixels[size_t(((image * p.h + row) * p.w + column) * 3)];
    for (size_t c = 0; c < 3; ++c) {
      const double value = double(float(T(table.of[c][pixel[normal.bgr ? 2 - c : c]])));
      for (size_t k = 0; k < size_t(p.k); ++k) {
        const double product = double(float(of_output[k])) * value;
        sums.of[k * filter + tap * 3 + c] += product;
        sums.of_absolutes[k * filter + tap * 3 + c] += std::fabs(product);
      }
    }
  };
  const T* next = dy.data();
  for (int64_t n = 0; n < p.n; ++n)
    for (int64_t i = 0; i < p.out_h(); ++i)
      for (int64_t j = 0; j < p.out_w(); ++j, next += p.k)
        for (int64_t r = 0; r < p.r; ++r)
          for (int64_t s = 0; s < p.s; ++s)
            at_tap(next, n, i * p.stride_h - p.pad_top + r, j * p.stride_w - p.pad_left + s,
                   size_t(r * p.s + s));
  return sums;
}

size_t outputs(const Conv2dProblem& p) { return size_t(p.n * p.out_h() * p.out_w() * p.k); }
size_t bytes(const Conv2dProblem& p) { return size_t(p.n * p.h * p.w * 3); }

// `offset`: elements by which dy is misaligned.
template <class Factors>
void run(const Conv2dProblem& p, bool bgr = false, size_t offset = 0) {
  using T = typename Factors::Type;
  SCOPED_TRACE(text(p));
  std::vector<uint8_t> pixels(bytes(p));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(i * 7 % 23 * 2);
  const std::vector<T> gradients = integers<T>(outputs(p), 3);
  Normalization normal = kWhole;
  normal.bgr = bgr;
  const std::vector<double> want = reference(p, normal, pixels, gradients).of;
  on_device([&] {
    const Array<uint8_t> x(pixels);
    const Array<T> dy(gradients, offset);
    Array<float> dw(want.size());  // NaN
    ASSERT_TRUE(has_conv2d_first_wgrad(Factors::kMath, p));
    conv2d_first_wgrad(Factors::kMath, p, x.data(), normal, dy.data(), dw.data(), {});
    expect_values(dw, want);
  });
}

// Tiles are 8 x 16 outputs; the last have more of them than the simulator has blocks.
TYPED_TEST(CudaFirstGradient, OfAnyNumberOfOutputs) {
  for (auto [n, rows, columns] :
       {std::tuple(1, 1, 1), {2, 7, 15}, {1, 8, 16}, {1, 9, 17}, {1, 19, 35}}) {
    run<TypeParam>(with_outputs(n, rows, columns, 8, 7, 2, 3));
    if (this->HasFatalFailure()) return;
  }
}

// A block has 64 filters, and of 11 x 11 taps only a part.
TYPED_TEST(CudaFirstGradient, OfAnyNumberOfFilters) {
  for (int64_t k : {1, 63, 64, 65, 131}) {
    run<TypeParam>(with_outputs(1, 5, 6, k, 3, 2, 1));
    if (this->HasFatalFailure()) return;
  }
  run<TypeParam>(with_outputs(1, 5, 6, 65, 11, 4, 2));
}

TYPED_TEST(CudaFirstGradient, OfEveryGeometry) {
  int pad = 0;
  for (int64_t filter : {3, 7, 11})
    for (int stride : {1, 2, 4}) {
      run<TypeParam>(with_outputs(1, 5, 6, 16, filter, stride, pad, stride - 1), pad % 2 == 1);
      if (this->HasFatalFailure()) return;
      pad = (pad + 1) % 4;
    }
}

TYPED_TEST(CudaFirstGradient, OfUnevenFilters) {
  Conv2dProblem p{.n = 1, .h = 9, .w = 23, .c = 3, .k = 12, .r = 2, .s = 5};
  p.stride_h = 1, p.stride_w = 2, p.pad_top = 1, p.pad_right = 2;
  run<TypeParam>(p);
  p.r = 4, p.s = 1, p.stride_h = 2, p.stride_w = 3, p.pad_left = 1;
  run<TypeParam>(p, true);
}

TYPED_TEST(CudaFirstGradient, OfMisalignedGradients) {
  run<TypeParam>(with_outputs(1, 3, 17, 16, 3, 2, 1), false, 1);
}

TYPED_TEST(CudaFirstGradient, OfNoImages) { run<TypeParam>(with_outputs(0, 3, 3, 8, 3, 1, 1)); }

TYPED_TEST(CudaFirstGradient, OfPhotographs) {
  using Factors = TypeParam;
  using T = typename Factors::Type;
  constexpr double kBound =  // some roundings of sums in float; tf32 rounds both factors
      Factors::kMath == GemmMath::tf32 ? 0x1p-10 : 0x1p-20;
  const Conv2dProblem p = with_outputs(2, 9, 17, 24, 7, 2, 3);
  const Normalization normal{1.0f / 255, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, true};
  std::vector<uint8_t> pixels(bytes(p));
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(i * 37 % 251);
  const std::vector<T> gradients = reals<T>(outputs(p), 1, -1, 1);
  const Sums want = reference(p, normal, pixels, gradients);
  on_device([&] {
    const Array<uint8_t> x(pixels);
    const Array<T> dy(gradients);
    Array<float> dw(want.of.size()), again(want.of.size());
    conv2d_first_wgrad(Factors::kMath, p, x.data(), normal, dy.data(), dw.data(), {});
    conv2d_first_wgrad(Factors::kMath, p, x.data(), normal, dy.data(), again.data(), {});
    const std::vector<float> found = dw.host();
    for (size_t i = 0; i < found.size(); ++i)
      ASSERT_NEAR(double(found[i]), want.of[i], kBound * want.of_absolutes[i]) << i;
    EXPECT_EQ(again.host(), found);
  });
}

TEST(CudaFirstGradientProblem, RefusesWhatItCannotDo) {
  on_device([] {
    const Conv2dProblem p = square(1, 32, 3, 8, 3);
    for (GemmMath math : {GemmMath::f32, GemmMath::tf32, GemmMath::bf16, GemmMath::f16})
      EXPECT_TRUE(has_conv2d_first_wgrad(math, p));
    EXPECT_FALSE(has_conv2d_first_wgrad(GemmMath::bf16, square(1, 32, 4, 8, 3)));
    EXPECT_FALSE(has_conv2d_first_wgrad(GemmMath::bf16, square(1, 32, 3, 9, 3, 1, 0, 1, 3)));
    EXPECT_FALSE(has_conv2d_first_wgrad(GemmMath::bf16, square(1, 32, 3, 8, 3, 1, 0, 2)));
    EXPECT_FALSE(has_conv2d_first_wgrad(GemmMath::bf16, square(1, 32, 3, 8, 16, 16)));
    float nothing = 0;
    EXPECT_THROW(conv2d_first_wgrad(GemmMath::f32, square(1, 32, 4, 8, 3), nullptr, kWhole, &nothing,
                                    &nothing, {}),
                 std::invalid_argument);
  });
}

}  // namespace
}  // namespace graft::cuda
