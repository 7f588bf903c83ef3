// A case of a convolution on CUDA, for tests: factors are small integers, so that sums are exact in
// any order and results must be equal. And the geometries to try it with.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/cuda/conv2d_launch.h"
#include "tests/conv2d_problem.h"
#include "tests/cuda_matrix.h"

namespace graft::cuda {

struct ConvCase {
  Conv2dProblem p;
  GemmMath math = GemmMath::f32;
  GemmPlan plan;
  DType out = DType::f32;
  bool last_step = false;  // scale, bias, residual and ReLU
};

inline std::string text(const ConvCase& c) {
  const Conv2dProblem& p = c.p;
  auto n = [](int64_t value) { return std::to_string(value) + " "; };
  return "math " + n(int(c.math)) + (c.plan.wgmma ? "wgmma " : "") + "tile " + n(c.plan.tile) + "splits " + n(c.plan.splits) + "x " +
         n(p.n) + n(p.h) + n(p.w) + n(p.c) + "w " + n(p.k) + n(p.r) + n(p.s) + "stride " +
         n(p.stride_h) + n(p.stride_w) + "pad " + n(p.pad_top) + n(p.pad_left) + n(p.pad_bottom) +
         n(p.pad_right) + "dilation " + n(p.dilation_h) + n(p.dilation_w) + "groups " + n(p.groups);
}

inline DType factor_type(GemmMath math) {
  return math == GemmMath::bf16 ? DType::bf16 : math == GemmMath::f16 ? DType::f16 : DType::f32;
}

// Calls each(output element, input element, filter element) for every product of the convolution.
template <class Each>
void each_product(const Conv2dProblem& p, const Each& each) {
  const int64_t channels = p.c / p.groups, filters = p.k / p.groups;
  for (int64_t n = 0, y = 0; n < p.n; ++n)
    for (int64_t i = 0; i < p.out_h(); ++i)
      for (int64_t j = 0; j < p.out_w(); ++j)
        for (int64_t k = 0; k < p.k; ++k, ++y)
          for (int64_t r = 0; r < p.r; ++r)
            for (int64_t s = 0; s < p.s; ++s) {
              const int64_t h = i * p.stride_h - p.pad_top + r * p.dilation_h;
              const int64_t w = j * p.stride_w - p.pad_left + s * p.dilation_w;
              if (h < 0 || h >= p.h || w < 0 || w >= p.w) continue;
              const int64_t x = ((n * p.h + h) * p.w + w) * p.c + k / filters * channels;
              for (int64_t c = 0; c < channels; ++c)
                each(y, x + c, ((k * p.r + r) * p.s + s) * channels + c);
            }
}

inline Matrix values(DType type, int64_t size, uint32_t seed) { return matrix(type, 1, size, size, 0, seed); }

inline void expect_equal(const std::vector<float>& want, const std::vector<uint8_t>& got, DType type) {
  for (size_t i = 0; i < want.size(); ++i) {
    const float right = decode(encode({want[i]}, type), 0, type);
    ASSERT_EQ(decode(got, i, type), right) << "element " << i;
  }
}

inline void run_pass(ConvPass pass, const ConvCase& c) {
  SCOPED_TRACE(std::string(pass == ConvPass::fprop ? "fprop" : pass == ConvPass::dgrad ? "dgrad" : "wgrad") +
               ", " + text(c));
  const Conv2dProblem& p = c.p;
  const DType type = factor_type(c.math);
  const int64_t x_size = p.n * p.h * p.w * p.c, w_size = p.k * p.r * p.s * p.c / p.groups,
                y_size = p.n * p.out_h() * p.out_w() * p.k;
  const Matrix x = values(type, x_size, 1), w = values(type, w_size, 2), dy = values(type, y_size, 3);
  const DType out = pass == ConvPass::wgrad ? DType::f32 : c.out;
  const int64_t size = pass == ConvPass::fprop ? y_size : pass == ConvPass::dgrad ? x_size : w_size;
  const Matrix residual = values(out, size, 4), scale = values(DType::f32, p.k, 5),
               bias = values(DType::f32, p.k, 6);
  Array<uint8_t> result(size_t(size) * size_of(out));  // NaN

  ConvWork work{.problem = p, .out = result.data(), .out_type = out};
  work.a = pass == ConvPass::fprop ? x.data() : dy.data();
  work.b = pass == ConvPass::wgrad ? x.data() : w.data();
  if (c.last_step) {
    work.scale = static_cast<const float*>(scale.data());
    work.bias = static_cast<const float*>(bias.data());
    work.residual = residual.data();
    work.activation = Activation::relu;
  }
  conv2d(pass, c.math, work, c.plan, {});

  std::vector<float> want(size_t(size), 0.0f);
  each_product(p, [&](int64_t iy, int64_t ix, int64_t iw) {
    if (pass == ConvPass::fprop) want[size_t(iy)] += x.values[size_t(ix)] * w.values[size_t(iw)];
    if (pass == ConvPass::dgrad) want[size_t(ix)] += dy.values[size_t(iy)] * w.values[size_t(iw)];
    if (pass == ConvPass::wgrad) want[size_t(iw)] += dy.values[size_t(iy)] * x.values[size_t(ix)];
  });
  for (size_t i = 0; c.last_step && i < want.size(); ++i) {
    const size_t k = i % size_t(p.k);
    want[i] = std::max(0.0f, scale.values[k] * want[i] + bias.values[k] + residual.values[i]);
  }
  expect_equal(want, result.host(), out);
}

inline void run_passes(const ConvCase& c) {
  for (ConvPass pass : {ConvPass::fprop, ConvPass::dgrad, ConvPass::wgrad}) {
    run_pass(pass, c);
    if (testing::Test::HasFatalFailure()) return;
  }
}

// Every way that taps, strides and borders meet, with channels in whole chunks.
inline std::vector<Conv2dProblem> geometries(int64_t c, int64_t k) {
  std::vector<Conv2dProblem> problems = {
      square(2, 5, c, k, 1),          square(1, 7, c, k, 3, 1, 1),    square(2, 6, c, k, 3, 2, 1),
      square(1, 7, c, k, 1, 2),       square(1, 9, c, k, 3, 1, 2, 2), square(1, 8, c, k, 2, 3, 0),
      square(1, 9, c, k, 3, 2, 2, 2), square(1, 7, c, k, 3, 3, 1, 2), square(3, 1, c, k, 1),
      square(1, 3, c, k, 5, 1, 4)};
  Conv2dProblem uneven{.n = 1, .h = 6, .w = 9, .c = c, .k = k, .r = 2, .s = 3};
  uneven.stride_h = 1, uneven.stride_w = 2, uneven.pad_top = 1, uneven.pad_right = 2;
  uneven.dilation_w = 2;
  problems.push_back(uneven);
  return problems;
}

}  // namespace graft::cuda
