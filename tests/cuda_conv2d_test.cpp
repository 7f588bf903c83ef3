// Convolutions on CUDA: the three passes of every type and tile, over strides, paddings, dilations
// and groups. Factors are small integers, so that sums are exact in any order and results equal.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cuda/conv2d_launch.h"
#include "kernels/elementwise.h"
#include "tests/conv2d_problem.h"
#include "tests/cuda_matrix.h"

namespace graft::cuda {
namespace {

struct Case {
  Conv2dProblem p;
  GemmMath math = GemmMath::f32;
  GemmPlan plan;
  DType out = DType::f32;
  bool last_step = false;  // scale, bias, residual and ReLU
};

std::string text(const Case& c) {
  const Conv2dProblem& p = c.p;
  auto n = [](int64_t value) { return std::to_string(value) + " "; };
  return "math " + n(int(c.math)) + "tile " + n(c.plan.tile) + "splits " + n(c.plan.splits) + "x " +
         n(p.n) + n(p.h) + n(p.w) + n(p.c) + "w " + n(p.k) + n(p.r) + n(p.s) + "stride " +
         n(p.stride_h) + n(p.stride_w) + "pad " + n(p.pad_top) + n(p.pad_left) + n(p.pad_bottom) +
         n(p.pad_right) + "dilation " + n(p.dilation_h) + n(p.dilation_w) + "groups " + n(p.groups);
}

DType factor_type(GemmMath math) {
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

Matrix values(DType type, int64_t size, uint32_t seed) { return matrix(type, 1, size, size, 0, seed); }

void expect_equal(const std::vector<float>& want, const std::vector<uint8_t>& got, DType type) {
  for (size_t i = 0; i < want.size(); ++i) {
    const float right = decode(encode({want[i]}, type), 0, type);
    ASSERT_EQ(decode(got, i, type), right) << "element " << i;
  }
}

void run_pass(ConvPass pass, const Case& c) {
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

void run_passes(const Case& c) {
  for (ConvPass pass : {ConvPass::fprop, ConvPass::dgrad, ConvPass::wgrad}) {
    run_pass(pass, c);
    if (testing::Test::HasFatalFailure()) return;
  }
}

// Every way that taps, strides and borders meet, with channels in whole chunks.
std::vector<Conv2dProblem> geometries(int64_t c, int64_t k) {
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

class Conv : public testing::TestWithParam<GemmMath> {};

TEST_P(Conv, EveryGeometry) {
  on_device([] {
    for (const Conv2dProblem& p : geometries(16, 24)) {
      run_passes({p, GetParam(), {GetParam() == GemmMath::f32 ? 1 : 2, 1}});
      if (HasFatalFailure()) return;
    }
  });
}

TEST_P(Conv, EveryTile) {
  on_device([] {
    const int tiles = on_tensor_cores(GetParam()) ? kAlignedTiles : kSimtTileCount;
    for (int tile = 0; tile < tiles; ++tile) {
      run_passes({square(1, 13, 40, 136, 3, 2, 1), GetParam(), {tile, 1}});
      if (HasFatalFailure()) return;
    }
  });
}

TEST_P(Conv, ChannelsOfAnyNumber) {
  on_device([] {
    for (auto [c, k] : {std::pair(3, 8), {1, 1}, {16, 5}, {7, 16}}) {
      run_passes({square(1, 7, c, k, 3, 2, 1), GetParam(), {1, 1}});
      if (HasFatalFailure()) return;
    }
  });
}

TEST_P(Conv, Groups) {
  on_device([] {
    for (auto [c, k, groups] : {std::tuple(16, 32, 2), {24, 24, 3}, {6, 12, 3}, {8, 8, 8}}) {
      run_passes({square(1, 6, c, k, 3, 2, 1, 1, groups), GetParam(), {1, 1}});
      if (HasFatalFailure()) return;
    }
  });
}

TEST_P(Conv, Depthwise) {
  on_device([] {
    for (int64_t channels : {31, 65})
      for (auto [filter, stride, pad, dilation] :
           {std::tuple(3, 1, 1, 1), {5, 2, 2, 1}, {3, 2, 0, 2}, {7, 3, 3, 1}, {1, 1, 0, 1}}) {
        Case c{square(2, 9, channels, channels, filter, stride, pad, dilation, int(channels)), GetParam()};
        ASSERT_TRUE(is_depthwise(c.p));
        run_passes(c);
        c.out = factor_type(GetParam()), c.last_step = true;
        run_pass(ConvPass::fprop, c);
        if (HasFatalFailure()) return;
      }
  });
}

TEST_P(Conv, SplitsAddUp) {
  on_device([] {
    for (int splits : {2, 5}) {
      run_passes({square(2, 9, 16, 24, 3, 2, 1), GetParam(), {1, splits}});
      if (HasFatalFailure()) return;
    }
    run_passes({square(1, 7, 8, 8, 3, 3, 0, 1, 1), GetParam(), {1, 3}});  // phases without taps
  });
}

TEST_P(Conv, LastStep) {
  on_device([] {
    for (int splits : {1, 3})
      for (int64_t k : {24, 21}) {
        Case c{square(1, 6, 16, k, 3, 1, 1), GetParam(), {1, splits}, factor_type(GetParam()), true};
        run_pass(ConvPass::fprop, c);
        if (HasFatalFailure()) return;
      }
  });
}

std::string math_of(const testing::TestParamInfo<GemmMath>& info) {
  constexpr const char* names[] = {"f32", "tf32", "bf16", "f16"};
  return names[int(info.param)];
}
INSTANTIATE_TEST_SUITE_P(Cuda, Conv,
                         testing::Values(GemmMath::f32, GemmMath::tf32, GemmMath::bf16, GemmMath::f16),
                         math_of);

TEST(CudaConv2d, PlansByItself) {
  on_device([] {
    const Conv2dProblem p = square(1, 6, 8, 8, 3, 1, 1);
    const Matrix x = values(DType::bf16, 6 * 6 * 8, 1), w = values(DType::bf16, 8 * 9 * 8, 2);
    Array<float> y(6 * 6 * 8);
    conv2d_fprop(GemmMath::bf16, p, x.data(), w.data(), {}, y.data(), DType::f32, {});
    std::vector<float> want(6 * 6 * 8, 0.0f);
    each_product(p, [&](int64_t iy, int64_t ix, int64_t iw) {
      want[size_t(iy)] += x.values[size_t(ix)] * w.values[size_t(iw)];
    });
    EXPECT_EQ(y.host(), want);
  });
}

// Filters of ResNet, VGG, AlexNet and ViT, small; 70 channels are more than one block's.
TEST(CudaConv2d, FirstLayerOfBytes) {
  on_device([] {
    for (GemmMath math : {GemmMath::bf16, GemmMath::f16})
      for (auto [filter, stride, pad, side, k] :
           {std::tuple(7, 2, 3, 37, 70), {3, 1, 1, 17, 64}, {11, 4, 2, 43, 8}, {4, 4, 0, 8, 5},
            {3, 2, 0, 35, 32}, {5, 3, 1, 20, 16}}) {
        const Conv2dProblem p = square(2, side, 3, k, filter, stride, pad);
        SCOPED_TRACE(text({p, math}));
        const DType type = factor_type(math);
        std::vector<uint8_t> pixels(size_t(2 * side * side * 3));
        for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(i * 7 % 23 * 2);
        const Array<uint8_t> x(pixels);
        const int64_t y_size = p.n * p.out_h() * p.out_w() * k;
        const Matrix w = values(type, int64_t(k) * filter * filter * 3, 2),
                     bias = values(DType::f32, k, 6);
        Array<float> y(static_cast<size_t>(y_size));
        const Normalization normal{
            .scale = 1, .mean = {4, 6, 8}, .std = {2, 1, 2}, .bgr = stride == 2};
        const ConvLastStep last{.bias = static_cast<const float*>(bias.data()),
                                .activation = Activation::relu};
        conv2d_first(math, p, x.data(), normal, w.data(), last, y.data(), DType::f32, {});

        std::vector<float> want(size_t(y_size), 0.0f);
        each_product(p, [&](int64_t iy, int64_t ix, int64_t iw) {
          const int64_t channel = ix % 3, from = normal.bgr ? ix - channel + 2 - channel : ix;
          const float value = (float(pixels[size_t(from)]) - normal.mean[channel]) / normal.std[channel];
          want[size_t(iy)] += value * w.values[size_t(iw)];
        });
        for (size_t i = 0; i < want.size(); ++i)
          want[i] = std::max(0.0f, want[i] + bias.values[i % size_t(k)]);
        ASSERT_EQ(y.host(), want);
      }
  });
}

TEST(CudaConv2d, RefusesWhatItCannotDo) {
  float nothing = 0;
  auto fprop = [&](const Conv2dProblem& p, GemmMath math, DType y) {
    conv2d_fprop(math, p, &nothing, &nothing, {}, &nothing, y, {});
  };
  EXPECT_THROW(fprop(square(1, 4, 6, 8, 1, 1, 0, 1, 4), GemmMath::f32, DType::f32),
               std::invalid_argument);
  EXPECT_THROW(fprop(square(1 << 14, 224, 64, 64, 1), GemmMath::f32, DType::f32),
               std::invalid_argument);
  EXPECT_THROW(fprop(square(1, 4, 8, 8, 1), GemmMath::bf16, DType::f16), std::invalid_argument);
}

TEST(CudaConv2d, DividesExactly) {
  for (int64_t d : {1, 2, 3, 5, 7, 8, 49, 64, 100, 3136, 50176, 65535, 1 << 30, INT32_MAX}) {
    const Divider by(d);
    for (int64_t n : {int64_t(0), int64_t(1), d - 1, d, d + 1, 2 * d - 1, 2 * d, 7 * d - 1, 7 * d,
                      int64_t(INT32_MAX) / d * d, int64_t(INT32_MAX) / d * d - 1,
                      int64_t(INT32_MAX)}) {
      if (n < 0 || n > INT32_MAX) continue;
      EXPECT_EQ(by.divide(int(n)), n / d) << n << " / " << d;
    }
  }
}

// The taps of all phases together are the filter's, each once for a pixel that it can reach.
TEST(CudaConv2d, PhasesShareTheTaps) {
  for (int stride : {1, 2, 3, 4})
    for (int dilation : {1, 2, 3})
      for (int pad : {0, 1, 5})
        for (int taps : {1, 2, 3, 7})
          for (int phase = 0; phase < stride; ++phase) {
            const Side side = backward_side(100, stride, pad, dilation, taps, phase);
            int found = 0;
            for (int t = 0; t < side.taps; ++t, ++found) {
              const int tap = side.first_tap + t * side.tap_step;
              EXPECT_LT(tap, taps);
              for (int i : {0, 3}) {  // pixel phase + 3 stride is tap's at this output
                const int out = side.start(i) + t * side.step;
                EXPECT_EQ(out * stride - pad + tap * dilation, phase + i * stride);
              }
            }
            int expected = 0;
            for (int tap = 0; tap < taps; ++tap) expected += (phase + pad - dilation * tap) % stride == 0;
            EXPECT_EQ(found, expected) << stride << " " << dilation << " " << pad << " " << taps;
          }
}

}  // namespace
}  // namespace graft::cuda
