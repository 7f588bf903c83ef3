// What no operation can see: which oneDNN implementations are picked, and packed filters.
#include "kernels/conv2d.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/bf16_products.h"

namespace graft {
namespace {

Conv2dProblem problem(int64_t n, int64_t side, int64_t c, int64_t k, int64_t kernel, int stride) {
  Conv2dProblem p{.n = n, .h = side, .w = side, .c = c, .k = k, .r = kernel, .s = kernel};
  p.stride_h = p.stride_w = stride;
  p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = int(kernel / 2);
  return p;
}

std::vector<float> ramp(int64_t size, float step) {
  std::vector<float> values(size);
  for (int64_t i = 0; i < size; ++i) values[i] = std::sin(float(i) * step);
  return values;
}

struct Arrays {
  explicit Arrays(const Conv2dProblem& p)
      : x(ramp(p.n * p.h * p.w * p.c, 0.37f)), w(ramp(p.k * p.r * p.s * p.c / p.groups, 0.11f)),
        y(p.n * p.out_h() * p.out_w() * p.k) {}
  std::vector<float> x, w, y;
};

// Shapes of every kind that the zoo has: stems, 1x1, 3x3, strided, grouped, depthwise, dilated.
TEST(Conv2dKernel, NoReferenceImplementationIsPicked) {
#ifdef __x86_64__
  if (!__builtin_cpu_supports("avx2")) GTEST_SKIP() << "oneDNN is slow on this processor anyway";
#endif
  std::vector<Conv2dProblem> problems = {
      problem(2, 32, 3, 64, 7, 2), problem(2, 32, 3, 64, 3, 1), problem(2, 14, 64, 256, 1, 1),
      problem(2, 14, 64, 64, 3, 1), problem(2, 14, 64, 128, 3, 2), problem(2, 14, 64, 128, 1, 2),
      problem(2, 13, 512, 10, 1, 1), problem(1, 7, 512, 512, 3, 1), problem(3, 9, 5, 7, 3, 1)};
  problems.push_back(problem(2, 14, 32, 32, 3, 1));
  problems.back().groups = 32;
  problems.push_back(problem(2, 14, 32, 64, 3, 1));
  problems.back().groups = 4;
  problems.push_back(problem(2, 14, 32, 32, 3, 1));
  problems.back().dilation_h = problems.back().dilation_w = 2;
  for (const Conv2dProblem& p : problems) {
    Arrays a(p);
    std::vector<float> dx(a.x.size()), dw(a.w.size()), db(p.k);
    PackedFilter packed;
    cpu::conv2d_fprop(p, a.x.data(), a.w.data(), {}, a.y.data());
    cpu::conv2d_fprop(p, a.x.data(), a.w.data(), {}, a.y.data(), &packed, 1);
    cpu::conv2d_dgrad(p, a.y.data(), a.w.data(), dx.data());
    cpu::conv2d_wgrad(p, a.x.data(), a.y.data(), dw.data(), db.data());
  }
  for (const std::string& line : cpu::reference_implementations()) ADD_FAILURE() << line;
}

TEST(Conv2dKernel, ProbeFindsNoReferenceKernel) {
  cpu::probe_conv2d();
  for (const std::string& line : cpu::reference_implementations()) ADD_FAILURE() << line;
}

// Winograd, and the rest of a batch that its parts leave, against the direct kernel.
TEST(Conv2dKernel, PackedFilterGivesWhatTheFilterGives) {
  for (int64_t n : {1, 3, 4, 5, 9}) {
    Conv2dProblem p = problem(n, 21, 32, 48, 3, 1);
    Arrays direct(p), packed(p);
    std::vector<float> bias = ramp(p.k, 0.7f);
    ConvEpilogue epilogue{.bias = bias.data(), .activation = Activation::relu};
    cpu::conv2d_fprop(p, direct.x.data(), direct.w.data(), epilogue, direct.y.data());
    PackedFilter filter;
    cpu::conv2d_fprop(p, packed.x.data(), packed.w.data(), epilogue, packed.y.data(), &filter, 7);
    double largest = 0, difference = 0;
    for (size_t i = 0; i < direct.y.size(); ++i) {
      largest = std::max<double>(largest, std::abs(direct.y[i]));
      difference = std::max<double>(difference, std::abs(direct.y[i] - packed.y[i]));
    }
    EXPECT_LT(difference, 1e-4 * largest) << "batch " << n;
  }
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0, difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max<double>(largest, std::abs(a[i]));
    difference = std::max<double>(difference, std::abs(a[i] - b[i]));
  }
  return difference / largest;
}

// The scale is folded into a small filter and into Winograd's, and stays outside of a large one.
TEST(Conv2dKernel, ScaleAnywhereGivesWhatAScaledFilterGives) {
  const Conv2dProblem problems[] = {problem(3, 5, 16, 24, 3, 1), problem(3, 21, 32, 48, 3, 1),
                                    problem(3, 5, 520, 512, 1, 1)};
  for (const Conv2dProblem& p : problems)
    for (bool with_residual : {false, true})
      for (bool with_bias : {false, true}) {
        Arrays plain(p), fused(p);
        std::vector<float> bias = ramp(p.k, 0.7f), scale = ramp(p.k, 0.3f);
        std::vector<float> w = plain.w, residual = ramp(int64_t(plain.y.size()), 0.9f);
        for (size_t i = 0; i < w.size(); ++i) w[i] *= scale[i / (w.size() / size_t(p.k))];
        ConvEpilogue e{.bias = with_bias ? bias.data() : nullptr,
                       .residual = with_residual ? residual.data() : nullptr,
                       .activation = Activation::relu};
        cpu::conv2d_fprop(p, plain.x.data(), w.data(), e, plain.y.data());
        e.scale = scale.data();
        PackedFilter packed;
        cpu::conv2d_fprop(p, fused.x.data(), fused.w.data(), e, fused.y.data(), &packed, 1);
        EXPECT_LT(largest_difference(plain.y, fused.y), 1e-4) << p.c << " bias " << with_bias;
        cpu::conv2d_fprop(p, fused.x.data(), nullptr, e, fused.y.data(), &packed, 1);
        EXPECT_LT(largest_difference(plain.y, fused.y), 1e-4) << "again";
        cpu::conv2d_fprop(p, fused.x.data(), fused.w.data(), e, fused.y.data());
        EXPECT_LT(largest_difference(plain.y, fused.y), 1e-4) << "without a packed filter";
      }
}

TEST(Conv2dKernel, UnpackingGivesTheSameBits) {
  for (int64_t channels : {512, 520, 3}) {
    Conv2dProblem p = problem(2, 5, channels, 520, 1, 1);
    Arrays a(p);
    std::vector<float> scale = ramp(p.k, 0.3f), back(a.w.size());
    PackedFilter packed;
    EXPECT_FALSE(cpu::unpacker(packed));
    cpu::conv2d_fprop(p, a.x.data(), a.w.data(), {.scale = scale.data()}, a.y.data(), &packed, 1);
    auto unpack = cpu::unpacker(packed);
    EXPECT_EQ(bool(unpack), channels > 3) << "a small filter is scaled";
    if (!unpack) continue;
    packed = {};  // what unpacks holds what it needs
    unpack(back.data());
    EXPECT_EQ(back, a.w);
  }
}

TEST(Conv2dKernel, PackedFilterFollowsItsVersion) {
  Conv2dProblem p = problem(1, 6, 16, 16, 1, 1);
  Arrays a(p);
  PackedFilter filter;
  cpu::conv2d_fprop(p, a.x.data(), a.w.data(), {}, a.y.data(), &filter, 1);
  EXPECT_TRUE(cpu::conv2d_packed(p, {}, filter, 1));
  EXPECT_FALSE(cpu::conv2d_packed(p, {}, filter, 2));
  std::vector<float> first = a.y;
  for (float& w : a.w) w *= 2;
  cpu::conv2d_fprop(p, a.x.data(), a.w.data(), {}, a.y.data(), &filter, 2);
  for (size_t i = 0; i < first.size(); ++i) EXPECT_FLOAT_EQ(a.y[i], 2 * first[i]);
}

// Filters that may round: products of bf16 factors, so 2^-8 of each at most, summed in f32.
TEST(Conv2dKernel, RoundedFactorsStayNear) {
  for (const Conv2dProblem& p : {problem(3, 14, 64, 32, 1, 1), problem(2, 23, 32, 48, 3, 1),
                                 problem(2, 15, 64, 64, 3, 2), problem(2, 16, 3, 32, 7, 2)}) {
    Arrays exact(p), rounded(p);
    const std::vector<float> bias = ramp(p.k, 0.7f), scale = ramp(p.k, 0.3f);
    const std::vector<float> residual = ramp(int64_t(exact.y.size()), 0.19f);
    const ConvEpilogue e{.scale = scale.data(), .bias = bias.data(), .residual = residual.data(),
                         .activation = Activation::relu};
    PackedFilter plain, packed;
    packed.bf16 = true;
    cpu::conv2d_fprop(p, exact.x.data(), exact.w.data(), e, exact.y.data(), &plain, 1);
    cpu::conv2d_fprop(p, rounded.x.data(), rounded.w.data(), e, rounded.y.data(), &packed, 1);
    ASSERT_TRUE(cpu::conv2d_packed(p, e, packed, 1));
    std::vector<float> again(rounded.y.size());
    cpu::conv2d_fprop(p, rounded.x.data(), nullptr, e, again.data(), &packed, 1);
    EXPECT_EQ(again, rounded.y);
    const double depth = double(p.r * p.s * p.c);
    for (size_t i = 0; i < again.size(); ++i)
      ASSERT_NEAR(again[i], exact.y[i], std::sqrt(depth) / 128) << "element " << i;
    const bool rounds = cpu::rounds_to_bf16(p.c, p.k, p.groups);
    EXPECT_EQ(rounds, p.c > 3);
    EXPECT_EQ(rounded.y != exact.y, rounds && cpu::bf16_products() != cpu::Bf16Products::none);
  }
}

}  // namespace
}  // namespace graft
