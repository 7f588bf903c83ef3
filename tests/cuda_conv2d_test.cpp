// Convolutions on CUDA: the three passes of every type and tile, over strides, paddings, dilations
// and groups. Factors are small integers, so that sums are exact in any order and results equal.
#include <cmath>

#include "kernels/elementwise.h"
#include "tests/cuda_conv2d_case.h"

namespace graft::cuda {
namespace {

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
        ConvCase c{square(2, 9, channels, channels, filter, stride, pad, dilation, int(channels)), GetParam()};
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
    for (int splits : {2, 5, 18}) {
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
        ConvCase c{square(1, 6, 16, k, 3, 1, 1), GetParam(), {1, splits}, factor_type(GetParam()), true};
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
    for (GemmMath math : {GemmMath::f32, GemmMath::tf32, GemmMath::bf16, GemmMath::f16})
      for (auto [filter, stride, pad, side, k] :
           {std::tuple(7, 2, 3, 37, 70), {3, 1, 1, 17, 64}, {11, 4, 2, 43, 8}, {4, 4, 0, 8, 5},
            {3, 2, 0, 35, 32}, {5, 3, 1, 20, 16}}) {
        const Conv2dProblem p = square(2, side, 3, k, filter, stride, pad);
        SCOPED_TRACE(text({p, math}));
        if (filter == 11 && element_size(math) == 4 && !has_conv2d_first(math, p))
          continue;  // 64 such filters are 126 KB, more than A100 has beside the pixels
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
