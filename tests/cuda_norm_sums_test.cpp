// Sums of a batch norm's gradient that the dgrad of the convolution behind it leaves: small
// integers and powers of two, so that sums are exact and both ways through the backward pass give
// the same bits; and reals, whose sums come in another order, to a bound.
#include <gtest/gtest.h>

#include <cstring>
#include <span>

#include "kernels/cuda/conv2d_launch.h"
#include "kernels/elementwise.h"
#include "kernels/norm_conv2d.h"
#include "tests/conv2d_problem.h"
#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

struct Case {
  Conv2dProblem p;
  GemmPlan plan{1, 1};
  Activation activation = Activation::relu;
  bool affine = true, reals = false;

  std::string text() const {
    return "x " + std::to_string(p.h) + " " + std::to_string(p.w) + " " + std::to_string(p.c) +
           ", w " + std::to_string(p.k) + " " + std::to_string(p.r) + ", stride " +
           std::to_string(p.stride_h) + ", " + std::to_string(p.groups) + " groups, tile " +
           std::to_string(plan.tile) + ", splits " + std::to_string(plan.splits) + ", " +
           name_of(activation);
  }
};

template <class T>
struct Inputs {
  std::vector<T> x, w, dy;                     // x: of the norm
  std::vector<float> mean, rstd, gamma, beta;  // rstd gamma is a power of two

  explicit Inputs(const Case& c) {
    const Conv2dProblem& p = c.p;
    const auto x_size = size_t(p.n * p.h * p.w * p.c), channels = size_t(p.c),
               w_size = size_t(p.k * p.r * p.s * p.c / p.groups),
               dy_size = size_t(p.n * p.out_h() * p.out_w() * p.k);
    if (c.reals) {
      x = reals<T>(x_size, 1, -2, 2), w = reals<T>(w_size, 2, -1, 1),
      dy = reals<T>(dy_size, 3, -1, 1);
      mean = reals<float>(channels, 4, -1, 1), rstd = reals<float>(channels, 5, 0.5f, 2);
      gamma = reals<float>(channels, 6, -1, 2), beta = reals<float>(channels, 7, -1, 1);
      return;
    }
    x = integers<T>(x_size, 1), w = integers<T>(w_size, 2, 2), dy = integers<T>(dy_size, 3, 2);
    mean = integers<float>(channels, 4, 2), beta = integers<float>(channels, 5, 2);
    for (size_t j = 0; j < channels; ++j) {
      mean[j] += 0.5f * float(j % 2);
      rstd.push_back(j % 3 ? 0.5f : 2.0f), gamma.push_back(j % 5 == 4 ? -1.0f : 1.0f);
    }
  }
};

// What is left of one backward pass, as it is in memory.
template <class T>
struct Gradients {
  Array<T> dx;
  Array<float> dgamma, dbeta;
  explicit Gradients(const Case& c)
      : dx(size_t(c.p.n * c.p.h * c.p.w * c.p.c)), dgamma(size_t(c.p.c)), dbeta(size_t(c.p.c)) {}
  NormGradients<T> out() const { return {dx.data(), dgamma.data(), dbeta.data()}; }
};

template <class T>
bool same_bits(const Array<T>& a, const Array<T>& b) {
  const std::vector<T> x = a.host(), y = b.host();
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0;
}

// Sum of |g| and of |g (x - mean)| over all rows, for the bounds, and the sums themselves.
struct ExactSums {
  std::vector<double> sum, slope, sum_size, slope_size;
};

template <class T>
ExactSums exact_sums(const Case& c, const Inputs<T>& in, const std::vector<T>& dy) {
  const auto channels = size_t(c.p.c);
  const std::vector<double> zeros(channels);
  ExactSums s{zeros, zeros, zeros, zeros};
  with_activation(c.activation, [&]<class Op>(Op) {
    for (size_t i = 0; i < dy.size(); ++i) {
      const size_t j = i % channels;
      const float d = float(in.x[i]) - in.mean[j];
      const float z = c.affine ? d * (in.rstd[j] * in.gamma[j]) + in.beta[j] : d * in.rstd[j];
      const double g = double(float(dy[i])) * double(Op::df(z, Op::f(z)));
      s.sum[j] += g, s.slope[j] += g * double(d);
      s.sum_size[j] += std::fabs(g), s.slope_size[j] += std::fabs(g * double(d));
    }
  });
  return s;
}

void expect_sums(const Array<float>& got, const std::vector<double>& want,
                 const std::vector<double>& size, const std::vector<float>& factor, double share) {
  const std::vector<float> found = got.host();
  for (size_t j = 0; j < want.size(); ++j)
    ASSERT_NEAR(found[j], want[j] * double(factor[j]),
                share * size[j] * double(factor[j]) + 0x1p-24 * std::fabs(found[j]))
        << "channel " << j;
}

// -> dx, dgamma and dbeta by the sums that dgrad leaves.
template <class T>
void run(GemmMath math, const Case& c, const Inputs<T>& in, const Gradients<T>& by_sums) {
  const Conv2dProblem& p = c.p;
  SCOPED_TRACE(c.text());
  const Array<T> x(in.x), w(in.w), dy(in.dy);
  const Array<float> mean(in.mean), rstd(in.rstd), gamma(in.gamma), beta(in.beta);
  const int64_t rows = p.n * p.h * p.w;
  const NormProblem norm{rows,
                         p.c,
                         mean.data(),
                         rstd.data(),
                         c.affine ? gamma.data() : nullptr,
                         c.affine ? beta.data() : nullptr,
                         c.activation};
  Array<T> plain(in.x.size()), noted(in.x.size());
  ConvWork work = dgrad_work(p, dy.data(), w.data(), plain.data(), dtype_of<T>);
  conv2d(ConvPass::dgrad, math, work, c.plan, {});
  const int64_t tiles = note_tiles(ConvPass::dgrad, math, work, c.plan);
  Array<float> sums(size_t(tiles * 2 * p.c));
  work.out = noted.data();
  work.sums = {{norm, c.activation == Activation::none ? -kNoLimit : 0,
                c.activation == Activation::relu6 ? 6 : kNoLimit},
               x.data(),
               sums.data()};
  conv2d(ConvPass::dgrad, math, work, c.plan, {});
  ASSERT_TRUE(same_bits(noted, plain));

  batch_norm_backward_by_sums(norm, x.data(), noted.data(), {sums.data(), tiles}, by_sums.out(),
                              {});
  const ExactSums want = exact_sums(c, in, plain.host());
  const double share = c.reals ? 2e-6 : 0;  // of a float sum of a tile's rows
  expect_sums(by_sums.dbeta, want.sum, want.sum_size, std::vector<float>(in.rstd.size(), 1), share);
  expect_sums(by_sums.dgamma, want.slope, want.slope_size, in.rstd, share);

  const Gradients<T> by_values(c);
  batch_norm_backward_train(norm, x.data(), static_cast<const T*>(nullptr), noted.data(),
                            by_values.out(), {});
  if (c.reals)
    expect_values(by_sums.dx, doubles(by_values.dx.host()), 1e-5);
  else
    ASSERT_TRUE(same_bits(by_sums.dx, by_values.dx) &&
                same_bits(by_sums.dgamma, by_values.dgamma) &&
                same_bits(by_sums.dbeta, by_values.dbeta));

  const Gradients<T> alone(c);  // one at a time
  batch_norm_backward_by_sums(norm, x.data(), noted.data(), {sums.data(), tiles},
                              NormGradients<T>{.dx = alone.dx.data()}, {});
  batch_norm_backward_by_sums(norm, x.data(), noted.data(), {sums.data(), tiles},
                              NormGradients<T>{.dbeta = alone.dbeta.data()}, {});
  ASSERT_TRUE(same_bits(by_sums.dx, alone.dx) && same_bits(by_sums.dbeta, alone.dbeta));
}

void run(GemmMath math, const Case& c) {
  auto with = [&]<class T>(T) { run<T>(math, c, Inputs<T>(c), Gradients<T>(c)); };
  if (math == GemmMath::bf16) return with(bf16());
  if (math == GemmMath::f16) return with(f16());
  with(0.0f);
}

Conv2dProblem pixels_in_a_row(int64_t pixels, int64_t c, int64_t k) {
  return {.n = 1, .h = 1, .w = pixels, .c = c, .k = k, .r = 1, .s = 1};
}

class CudaNormSums : public testing::TestWithParam<GemmMath> {
 protected:
  static std::span<const GemmTile> tiles() {
    if (!on_tensor_cores(GetParam())) return kSimtTiles;
    return std::span(kTensorTiles).first(kAlignedTiles);
  }
  static void run_all(const std::vector<Case>& cases) {
    on_device([&] {
      for (const Case& c : cases) {
        run(GetParam(), c);
        if (HasFatalFailure()) return;
      }
    });
  }
};

TEST_P(CudaNormSums, OfEveryTile) {
  std::vector<Case> cases;
  for (int tile = 0; tile < int(tiles().size()); ++tile)
    for (int m = tiles()[size_t(tile)].m;
         auto [pixels, c] : {std::pair(1, 24), {m - 1, 8}, {m, 21}, {m + 1, 72}, {2 * m + 3, 24}})
      cases.push_back({pixels_in_a_row(pixels, c, 16), {tile, 1}});
  run_all(cases);
}

TEST_P(CudaNormSums, OfASplitDepth) {
  std::vector<Case> cases;
  for (auto [pixels, c] : {std::pair(1, 8), {31, 21}, {32, 36}, {33, 24}, {67, 40}})
    cases.push_back({pixels_in_a_row(pixels, c, 64), {1, 2}});
  cases.push_back({square(1, 7, 24, 64, 3, 2, 1), {1, 2}});
  run_all(cases);
}

// Phases of a stride that have fewer pixels than the largest, and none.
TEST_P(CudaNormSums, OfEveryPhase) {
  run_all({{square(2, 7, 24, 16, 3, 2, 1)},
           {square(1, 23, 8, 16, 3, 2, 1)},  // 144 pixels to 121: a tile has no row
           {square(1, 8, 16, 8, 1, 3)},
           {square(2, 1, 8, 8, 3, 2, 1)},
           {square(1, 6, 7, 5, 3, 2, 1)}});
}

TEST_P(CudaNormSums, OfGroupsAndDilation) {
  run_all({{square(1, 9, 32, 16, 3, 1, 1, 1, 2)},
           {square(1, 9, 15, 6, 3, 2, 1, 1, 3)},
           {square(1, 9, 16, 16, 3, 1, 2, 2)},
           {square(1, 5, 16, 8, 5, 1, 4)}});
}

TEST_P(CudaNormSums, OfDepthwiseFilters) {
  std::vector<Case> cases;
  for (auto [images, channels, stride] : {std::tuple(1, 31, 1), {2, 65, 2}, {3, 40, 1}}) {
    cases.push_back({square(images, 9, channels, channels, 3, stride, 1, 1, channels)});
    ASSERT_TRUE(is_depthwise(cases.back().p));
  }
  run_all(cases);
}

TEST_P(CudaNormSums, BehindEveryLimitWithAndWithoutWeights) {
  std::vector<Case> cases;
  for (Activation a : {Activation::none, Activation::relu, Activation::relu6})
    for (bool affine : {true, false})
      cases.push_back({square(1, 9, 24, 16, 3, 1, 1), {1, 1}, a, affine});
  run_all(cases);
}

TEST_P(CudaNormSums, OfRealsToABoundAndTheSameBitsInEveryOrder) {
  for (const Conv2dProblem& p :
       {square(2, 13, 24, 16, 3, 2, 1), square(1, 12, 40, 40, 3, 1, 1, 1, 40)}) {
    const Case c{p, {1, 1}, Activation::relu, true, true};
    std::vector<std::vector<float>> found;
    on_device([&] {
      const Inputs<float> in(c);
      const Gradients<float> g(c);
      const GemmMath math = GetParam() == GemmMath::f32 ? GemmMath::f32 : GemmMath::tf32;
      run<float>(math, c, in, g);
      std::vector<float> all = g.dgamma.host();
      const std::vector<float> dbeta = g.dbeta.host();
      all.insert(all.end(), dbeta.begin(), dbeta.end());
      found.push_back(all);
      if (element_size(GetParam()) == 2) run(GetParam(), c);
    });
    for (const auto& other : found) EXPECT_EQ(other, found[0]);
  }
}

std::string name_of_math(const testing::TestParamInfo<GemmMath>& info) {
  constexpr const char* names[] = {"f32", "tf32", "bf16", "f16"};
  return names[int(info.param)];
}
INSTANTIATE_TEST_SUITE_P(Cuda, CudaNormSums,
                         testing::Values(GemmMath::f32, GemmMath::tf32, GemmMath::bf16,
                                         GemmMath::f16),
                         name_of_math);

// Whatever plan it chooses.
TEST(CudaNormSumsPlan, IsChosenByItself) {
  on_device([] {
    const Case c{square(2, 6, 16, 24, 3, 2, 1)};
    const Inputs<bf16> in(c);
    const Array<bf16> x(in.x), w(in.w), dy(in.dy);
    const Array<float> mean(in.mean), rstd(in.rstd);
    NormProblem norm{72, 16, mean.data(), rstd.data(), nullptr, nullptr, Activation::relu};
    const int64_t tiles = norm_conv2d_dgrad_tiles(GemmMath::bf16, c.p, dy.data(), w.data());
    Array<float> sums(size_t(tiles * 2 * 16));
    Array<bf16> plain(in.x.size()), noted(in.x.size());
    conv2d_dgrad(GemmMath::bf16, c.p, dy.data(), w.data(), plain.data(), DType::bf16, {});
    norm_conv2d_dgrad(GemmMath::bf16, c.p, norm, x.data(), dy.data(), w.data(), noted.data(),
                      DType::bf16, sums.data(), {});
    EXPECT_TRUE(same_bits(noted, plain));
    for (float s : sums.host()) ASSERT_FALSE(std::isnan(s));

    norm.activation = Activation::silu;
    EXPECT_FALSE(has_norm_conv2d_dgrad(norm));
    EXPECT_THROW(norm_conv2d_dgrad(GemmMath::bf16, c.p, norm, x.data(), dy.data(), w.data(),
                                   noted.data(), DType::bf16, sums.data(), {}),
                 std::invalid_argument);
  });
}

}  // namespace
}  // namespace graft::cuda
