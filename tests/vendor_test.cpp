// Our own kernels and NVIDIA's, on a GPU: the same small integers, and so the same bits; norms within
// a rounding.
#include <gtest/gtest.h>

#include "kernels/norm.h"
#include "kernels/vendor/conv2d.h"
#include "kernels/vendor/gemm.h"
#include "kernels/vendor/no_plan.h"
#include "kernels/vendor/norm.h"
#include "tests/cuda_matrix.h"
#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

DType factor_type(GemmMath math) {
  return math == GemmMath::bf16 ? DType::bf16 : math == GemmMath::f16 ? DType::f16 : DType::f32;
}

class Vendor : public testing::TestWithParam<GemmMath> {
 protected:
  void SetUp() override {
    if (device_count() == 0) GTEST_SKIP() << "no CUDA device";
  }
};

TEST_P(Vendor, GemmIsOurs) {
  const int64_t m = 200, n = 136, k = 96;
  for (int transposed = 0; transposed < 4; ++transposed)
    for (bool last_step : {false, true}) {
      const bool ta = transposed & 1, tb = transposed & 2;
      const DType type = factor_type(GetParam());
      const Matrix a = matrix(type, ta ? k : m, ta ? m : k, ta ? m : k, 0, 1),
                   b = matrix(type, tb ? n : k, tb ? k : n, tb ? k : n, 0, 2),
                   bias = matrix(DType::f32, 1, n, n, 0, 3), residual = matrix(DType::f32, m, n, n, 0, 4);
      GemmProblem p{.math = GetParam(), .transpose_a = ta, .transpose_b = tb, .m = m, .n = n, .k = k};
      p.a = a.data(), p.a_stride = a.stride, p.b = b.data(), p.b_stride = b.stride, p.c_stride = n;
      if (last_step) {
        p.bias = static_cast<const float*>(bias.data());
        p.residual = residual.data(), p.residual_stride = n, p.beta = 1;
        p.activation = Activation::relu;
      }
      const Array<float> own(size_t(m * n)), theirs(size_t(m * n));
      p.c = own.data();
      gemm(p, {});
      p.c = theirs.data();
      ASSERT_TRUE(vendor::offers(p));
      vendor::gemm(p, {});
      ASSERT_EQ(own.host(), theirs.host()) << ta << tb << last_step;
    }
}

TEST_P(Vendor, ConvolutionIsOurs) {
  for (auto [side, filter, stride, pad] : {std::tuple(14, 3, 1, 1), {15, 3, 2, 1}, {14, 1, 2, 0}}) {
    Conv2dProblem p{.n = 4, .h = side, .w = side, .c = 32, .k = 64, .r = filter, .s = filter};
    p.stride_h = p.stride_w = stride;
    p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = pad;
    const int64_t x_size = p.n * p.h * p.w * p.c, w_size = p.k * p.r * p.s * p.c,
                  y_size = p.n * p.out_h() * p.out_w() * p.k;
    const DType type = factor_type(GetParam());
    auto values = [](DType t, int64_t size, uint32_t seed) { return matrix(t, 1, size, size, 0, seed); };
    const Matrix x = values(type, x_size, 1), w = values(type, w_size, 2), dy = values(type, y_size, 3),
                 scale = values(DType::f32, p.k, 4), bias = values(DType::f32, p.k, 5),
                 residual = values(DType::f32, y_size, 6);
    const ConvLastStep last{.scale = static_cast<const float*>(scale.data()),
                            .bias = static_cast<const float*>(bias.data()),
                            .residual = residual.data(), .activation = Activation::relu};
    auto same = [&](int64_t size, auto own, auto theirs) {
      const Array<float> a(static_cast<size_t>(size)), b(static_cast<size_t>(size));
      own(a.data());
      try {
        theirs(b.data());
      } catch (const vendor::NoPlan& e) {
        std::printf("%s\n", e.what());
        return;
      }
      EXPECT_EQ(a.host(), b.host()) << side << " " << filter << " " << stride;
    };
    same(y_size,
         [&](float* y) { conv2d_fprop(GetParam(), p, x.data(), w.data(), last, y, DType::f32, {}); },
         [&](float* y) {
           vendor::conv2d_fprop(GetParam(), p, x.data(), w.data(), last, y, DType::f32, {});
         });
    same(x_size,
         [&](float* dx) { conv2d_dgrad(GetParam(), p, dy.data(), w.data(), dx, DType::f32, {}); },
         [&](float* dx) {
           vendor::conv2d_dgrad(GetParam(), p, dy.data(), w.data(), dx, DType::f32, {});
         });
    same(w_size, [&](float* dw) { conv2d_wgrad(GetParam(), p, x.data(), dy.data(), dw, {}); },
         [&](float* dw) { vendor::conv2d_wgrad(GetParam(), p, x.data(), dy.data(), dw, {}); });
  }
}

constexpr int64_t kRows = 4 * 16 * 16, kChannels = 64;
constexpr size_t kSize = size_t(kRows * kChannels);
constexpr double kRounding = 0x1p-7;  // of two results of bf16
constexpr vendor::NormMaps kMaps{4, 16, 16, kChannels, DType::bf16};

struct NormInput {
  const Array<bf16> x{integers<bf16>(kSize, 1)}, other{integers<bf16>(kSize, 2)};
  const Array<float> gamma{integers<float>(kChannels, 3)}, beta{integers<float>(kChannels, 4)};
  const Array<float> mean{size_t(kChannels)}, rstd{size_t(kChannels)};
  const bf16* residual;

  explicit NormInput(bool with_residual) : residual(with_residual ? other.data() : nullptr) {
    batch_norm_statistics(kRows, kChannels, x.data(),
                          {.mean = mean.data(), .rstd = rstd.data(), .eps = 1e-3f}, {});
  }
  NormProblem problem(Activation activation) const {
    return {kRows, kChannels, mean.data(), rstd.data(), gamma.data(), beta.data(), activation};
  }
};

class VendorNorm : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (device_count() == 0) GTEST_SKIP() << "no CUDA device";
  }
  // False where cuDNN has no plan for this graph on this GPU: then there is nothing to compare.
  template <class Run>
  static bool runs(const Run& run) {
    try {
      run();
      return true;
    } catch (const DeviceError& e) {
      if (std::string(e.what()).find("no plan") == std::string::npos) throw;
      return false;
    }
  }
};

TEST_P(VendorNorm, ForwardIsOurs) {
  const NormInput in(GetParam());
  const Array<bf16> own(kSize), theirs(kSize);
  const Array<float> their_mean{size_t(kChannels)}, their_rstd{size_t(kChannels)};
  batch_norm_forward(in.problem(Activation::relu), in.x.data(), in.residual, own.data(), {});
  if (!runs([&] {
        vendor::batch_norm_relu(kMaps, in.x.data(), in.gamma.data(), in.beta.data(), in.residual,
                                1e-3f, their_mean.data(), their_rstd.data(), theirs.data(), {});
      }))
    GTEST_SKIP() << "no plan of cuDNN's";
  expect_values(theirs.host(), doubles(own.host()), kRounding);
  expect_values(their_mean.host(), doubles(in.mean.host()), 1e-5);
  expect_values(their_rstd.host(), doubles(in.rstd.host()), 1e-5);
}

// All bits are set: nothing was below zero.
TEST_P(VendorNorm, BackwardIsOurs) {
  const NormInput in(GetParam());
  const Array<bf16> dy(integers<bf16>(kSize, 5)), own(kSize), theirs(kSize), passed_on(kSize);
  const Array<float> dgamma{size_t(kChannels)}, dbeta{size_t(kChannels)};
  const Array<float> their_dgamma{size_t(kChannels)}, their_dbeta{size_t(kChannels)};
  const Array<uint8_t> bits(std::vector<uint8_t>(kSize / 8, 0xff));
  batch_norm_backward_train(in.problem(Activation::none), in.x.data(),
                            static_cast<const bf16*>(nullptr), dy.data(),
                            NormGradients<bf16>{own.data(), dgamma.data(), dbeta.data()}, {});
  if (!runs([&] {
        vendor::batch_norm_relu_backward(
            kMaps,
            {in.x.data(), in.gamma.data(), in.mean.data(), in.rstd.data(), bits.data()}, dy.data(),
            {theirs.data(), their_dgamma.data(), their_dbeta.data(),
             in.residual ? passed_on.data() : nullptr},
            {});
      }))
    GTEST_SKIP() << "no plan of cuDNN's";
  expect_values(theirs.host(), doubles(own.host()), kRounding);
  expect_values(their_dgamma.host(), doubles(dgamma.host()), 1e-4);
  expect_values(their_dbeta.host(), doubles(dbeta.host()), 1e-4);
  if (in.residual) expect_values(passed_on.host(), doubles(dy.host()));
}

INSTANTIATE_TEST_SUITE_P(Cuda, VendorNorm, testing::Bool());
INSTANTIATE_TEST_SUITE_P(Cuda, Vendor,
                         testing::Values(GemmMath::f32, GemmMath::tf32, GemmMath::bf16, GemmMath::f16));

}  // namespace
}  // namespace graft::cuda
