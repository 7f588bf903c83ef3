// Convolutions that normalise their input on its way in, against batch_norm_forward and the same
// convolution after it: bit for bit.
#include "kernels/norm_conv2d.h"

#include <cstring>

#include "kernels/cuda/conv2d_launch.h"
#include "tests/conv2d_problem.h"
#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

template <class T>
struct CudaNormConv2d : testing::Test {};
using SixteenBits = testing::Types<bf16, f16>;
TYPED_TEST_SUITE(CudaNormConv2d, SixteenBits);

template <class T>
constexpr GemmMath kMath = std::is_same_v<T, bf16> ? GemmMath::bf16 : GemmMath::f16;

struct Case {
  Conv2dProblem p;
  GemmPlan plan;
  Activation activation = Activation::relu;
  bool affine = true;
};

template <class T>
void run(const Case& c) {
  const Conv2dProblem& p = c.p;
  SCOPED_TRACE("x " + std::to_string(p.h) + " " + std::to_string(p.w) + " " + std::to_string(p.c) +
               ", w " + std::to_string(p.k) + " " + std::to_string(p.r) + ", tile " +
               std::to_string(c.plan.tile) + ", splits " + std::to_string(c.plan.splits));
  const auto channels = size_t(p.c);
  const auto x_size = size_t(p.n * p.h * p.w * p.c), w_size = size_t(p.k * p.r * p.s * p.c / p.groups),
             y_size = size_t(p.n * p.out_h() * p.out_w() * p.k);
  const Array<T> x(reals<T>(x_size, 1, -2, 2)), w(reals<T>(w_size, 2, -1, 1)),
      dy(reals<T>(y_size, 3, -1, 1));
  const Array<float> mean(reals<float>(channels, 4, -1, 1)), rstd(reals<float>(channels, 5, 0.5f, 4)),
      gamma(reals<float>(channels, 6, 0.5f, 2)), beta(reals<float>(channels, 7, 0.5f, 3));
  const NormProblem norm{p.n * p.h * p.w, p.c, mean.data(), rstd.data(),
                         c.affine ? gamma.data() : nullptr, c.affine ? beta.data() : nullptr,
                         c.activation};
  Array<T> normalized(x_size);
  batch_norm_forward(norm, x.data(), static_cast<const T*>(nullptr), normalized.data(), {});
  const InputNorm input{norm, c.activation == Activation::none ? -kNoLimit : 0,
                        c.activation == Activation::relu6 ? 6 : kNoLimit};

  Array<T> y(y_size), want_y(y_size);
  ConvWork fprop{.problem = p, .a = normalized.data(), .b = w.data(), .out = want_y.data(),
                 .out_type = dtype_of<T>};
  conv2d(ConvPass::fprop, kMath<T>, fprop, c.plan, {});
  fprop.a = x.data(), fprop.out = y.data(), fprop.norm = input;
  conv2d(ConvPass::fprop, kMath<T>, fprop, c.plan, {});
  expect_values(y, doubles(want_y.host()));

  Array<float> dw(w_size), want_dw(w_size);
  ConvWork wgrad{.problem = p, .a = dy.data(), .b = normalized.data(), .out = want_dw.data(),
                 .out_type = DType::f32};
  conv2d(ConvPass::wgrad, kMath<T>, wgrad, c.plan, {});
  wgrad.b = x.data(), wgrad.out = dw.data(), wgrad.norm = input;
  conv2d(ConvPass::wgrad, kMath<T>, wgrad, c.plan, {});
  expect_values(dw, doubles(want_dw.host()));
}

TYPED_TEST(CudaNormConv2d, EveryTileAndSplit) {
  on_device([] {
    for (int tile = 0; tile < kAlignedTiles; ++tile)
      for (int splits : {1, 3}) run<TypeParam>({square(1, 9, 24, 72, 3, 1, 1), {tile, splits}});
  });
}

TYPED_TEST(CudaNormConv2d, EveryGeometry) {
  on_device([] {
    for (const Conv2dProblem& p :
         {square(2, 5, 16, 24, 1), square(2, 6, 8, 24, 3, 2, 1), square(1, 7, 24, 8, 1, 2),
          square(1, 9, 16, 16, 3, 2, 2, 2), square(1, 3, 16, 8, 5, 1, 4),
          square(1, 6, 48, 48, 3, 1, 1, 1, 3), square(1, 1, 8, 8, 1)})
      run<TypeParam>({p, {2, 1}});
  });
}

TYPED_TEST(CudaNormConv2d, EveryLimitWithAndWithoutWeights) {
  on_device([] {
    for (Activation a : {Activation::none, Activation::relu, Activation::relu6})
      for (bool affine : {true, false}) run<TypeParam>({square(1, 5, 16, 8, 3, 1, 1), {2, 1}, a, affine});
  });
}

// Whatever plan it chooses, with moments and a last step.
TYPED_TEST(CudaNormConv2d, PlansByItself) {
  using T = TypeParam;
  on_device([] {
    const Conv2dProblem p = square(2, 6, 16, 24, 3, 1, 1);
    const Array<T> x(integers<T>(2 * 36 * 16, 1)), w(integers<T>(24 * 9 * 16, 2)),
        dy(integers<T>(2 * 36 * 24, 3));
    const Array<float> mean(integers<float>(16, 4)), rstd(std::vector<float>(16, 2)),
        bias(integers<float>(24, 5));
    const NormProblem norm{72, 16, mean.data(), rstd.data(), nullptr, nullptr, Activation::relu};
    Array<T> normalized(2 * 36 * 16), y(2 * 36 * 24), want_y(2 * 36 * 24);
    batch_norm_forward(norm, x.data(), static_cast<const T*>(nullptr), normalized.data(), {});
    const int64_t tiles = conv2d_moment_tiles(kMath<T>, p, x.data(), w.data()).count();
    ASSERT_EQ(norm_conv2d_moment_tiles(kMath<T>, p, norm, x.data(), w.data()).count(), tiles);
    Array<ChannelMoments> moments(size_t(tiles * 24)), want_moments(size_t(tiles * 24));
    ConvLastStep last{.bias = bias.data(), .moments = want_moments.data()};
    conv2d_fprop(kMath<T>, p, normalized.data(), w.data(), last, want_y.data(), dtype_of<T>, {});
    last.moments = moments.data();
    ASSERT_TRUE(has_norm_conv2d_fprop(kMath<T>, p, norm, x.data(), w.data()));
    norm_conv2d_fprop(kMath<T>, p, norm, x.data(), w.data(), last, y.data(), dtype_of<T>, {});
    expect_values(y, doubles(want_y.host()));
    const auto found = moments.host(), want = want_moments.host();
    EXPECT_EQ(std::memcmp(found.data(), want.data(), found.size() * sizeof(ChannelMoments)), 0);

    Array<float> dw(24 * 9 * 16), want_dw(24 * 9 * 16);
    conv2d_wgrad(kMath<T>, p, normalized.data(), dy.data(), want_dw.data(), {});
    ASSERT_TRUE(has_norm_conv2d_wgrad(kMath<T>, p, norm, x.data(), dy.data()));
    norm_conv2d_wgrad(kMath<T>, p, norm, x.data(), dy.data(), dw.data(), {});
    EXPECT_EQ(dw.host(), want_dw.host());
  });
}

TEST(CudaNormConv2dProblem, RefusesWhatItCannotDo) {
  alignas(16) float table[16] = {};
  const NormProblem norm{16, 16, table, table, nullptr, nullptr, Activation::relu};
  auto fprop = [&](GemmMath math, const Conv2dProblem& p, const NormProblem& n) {
    return has_norm_conv2d_fprop(math, p, n, table, table);
  };
  const Conv2dProblem p = square(1, 4, 16, 5, 1);
  EXPECT_TRUE(fprop(GemmMath::bf16, p, norm));
  EXPECT_FALSE(has_norm_conv2d_wgrad(GemmMath::bf16, p, norm, table, table));  // rows of dy
  EXPECT_FALSE(fprop(GemmMath::tf32, p, norm));
  EXPECT_FALSE(fprop(GemmMath::f32, p, norm));
  EXPECT_FALSE(fprop(GemmMath::f16, square(1, 4, 12, 16, 1), norm));
  EXPECT_FALSE(fprop(GemmMath::f16, square(1, 4, 16, 16, 3, 1, 1, 1, 16), norm));
  NormProblem other = norm;
  other.activation = Activation::silu;
  EXPECT_FALSE(fprop(GemmMath::f16, p, other));
  EXPECT_THROW(norm_conv2d_fprop(GemmMath::f16, p, other, table, table, {}, table, DType::f16, {}),
               std::invalid_argument);
  other = norm;
  other.mean = table + 1;
  EXPECT_FALSE(fprop(GemmMath::f16, p, other));
}

}  // namespace
}  // namespace graft::cuda
