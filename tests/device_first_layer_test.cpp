// The first convolution of a network on the CUDA device takes the bytes of the pixels themselves.
#include "core/autograd.h"
#include "core/ops.h"
#include "core/pixel_source.h"
#include "kernels/runtime.h"
#include "tests/device.h"
#include "tests/layer_helpers.h"

namespace graft::tests {
namespace {

class DeviceFirstLayer : public DeviceTest, public testing::WithParamInterface<DType> {
 protected:
  static constexpr int64_t kSide = 21;

  Tensor input() const {  // never read yet
    Tensor bytes({2, kSide, kSide, 3}, DType::u8);
    for (int64_t i = 0; i < bytes.size(); ++i) bytes.mutable_data<uint8_t>()[i] = uint8_t(i * 37 % 251);
    return normalize(bytes.to(Device::cuda), 1.0f / 255, {0.5f, 0.4f, 0.6f}, {0.2f, 0.3f, 0.25f}, true,
                     GetParam());
  }

  static Tensor filter(int side) { return normal({8, side, side, 3}, 5).to(Device::cuda); }

  void expect_near(const Tensor& a, const Tensor& b) const {
    const double tolerance =  // of the last bit; in f32 of sums in another order
        GetParam() == DType::bf16 ? 0x1p-7 : GetParam() == DType::f16 ? 0x1p-10 : 0x1p-19;
    const Tensor x = a.to(Device::cpu).to(DType::f32), y = b.to(Device::cpu).to(DType::f32);
    ASSERT_EQ(x.shape(), y.shape());
    double top = 0;
    for (int64_t i = 0; i < y.size(); ++i) top = std::max(top, double(std::abs(y.data()[i])));
    for (int64_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x.data()[i], y.data()[i], tolerance * top) << i;
  }

  static size_t live() {
    cuda::synchronize_device();
    return cuda::device_memory().live;
  }
};

TEST_P(DeviceFirstLayer, GivesWhatNormalisedPixelsGive) {
  const Tensor x = input(), copy = input().clone(), w = filter(3);
  ASSERT_TRUE(pixel_source(x));
  ASSERT_FALSE(pixel_source(copy));
  const ConvSpec spec{.stride = {2, 2}, .padding = {1, 1, 1, 1}};
  FrozenFilter frozen{.weight = w, .scale = {}, .version = 1};
  const Tensor bias = normal({8}, 6).to(Device::cuda);
  expect_near(conv2d(x, frozen, bias, spec, Activation::relu), conv2d(copy, w, bias, spec, Activation::relu));
}

TEST_P(DeviceFirstLayer, TheNormalisedPixelsAreNeverMade) {
  const Tensor x = input(), w = filter(7).to(GetParam());
  const size_t before = live();
  const Tensor y = conv2d(x, w, {}, {.stride = {2, 2}, .padding = {3, 3, 3, 3}});
  EXPECT_LT(live() - before, y.bytes() + x.bytes());
  x.address();
  EXPECT_GE(live() - before, y.bytes() + x.bytes());
}

TEST_P(DeviceFirstLayer, ItsFilterLearns) {
  const ConvSpec spec{.stride = {2, 2}, .padding = {1, 1, 1, 1}};
  const Tensor factors = normal({2, 11, 11, 8}, 7);
  auto gradient = [&](const Tensor& x) {
    Tensor w = filter(3).to(x.device()).requires_grad(true);
    sum(mul(conv2d(x, w, {}, spec), factors.to(x.device()).to(x.dtype()))).backward();
    return w.grad();
  };
  const Tensor found = gradient(input());
  expect_near(found, gradient(input().clone()));
  expect_near(found, gradient(input().to(Device::cpu).to(DType::f32)));
}

// Nor for the gradient: what it keeps are the bytes.
TEST_P(DeviceFirstLayer, ItsFilterLearnsFromTheBytes) {
  const Tensor x = input();
  Tensor w = filter(7).requires_grad(true);
  sum(conv2d(x, w, {}, {.stride = {2, 2}, .padding = {3, 3, 3, 3}})).backward();
  const size_t before = live();
  x.address();
  EXPECT_GE(live() - before, x.bytes());
}

TEST_P(DeviceFirstLayer, ItsFilterLearnsFromPatchesThatDoNotFit) {
  const ConvSpec spec{.stride = {16, 16}};
  auto gradient = [&](const Tensor& x) {
    Tensor w = filter(16).requires_grad(true);
    sum(conv2d(x, w, {}, spec)).backward();
    return w.grad();
  };
  expect_near(gradient(input()), gradient(input().clone()));
}

TEST_P(DeviceFirstLayer, PatchesThatDoNotFitAreMade) {
  const Tensor w = filter(16);  // as ViT's
  const ConvSpec spec{.stride = {16, 16}};
  const Tensor x = input();
  const size_t before = live();
  const Tensor y = conv2d(x, w, {}, spec);
  EXPECT_GE(live() - before, x.bytes());
  expect_near(y, conv2d(input().clone(), w, {}, spec));
}

TEST_P(DeviceFirstLayer, ChangedValuesCount) {
  Tensor x = input();
  x.clear();
  EXPECT_FALSE(pixel_source(x));
  const Tensor y = conv2d(x, filter(3), {}, {}).to(Device::cpu).to(DType::f32);
  for (int64_t i = 0; i < y.size(); ++i) ASSERT_EQ(y.data()[i], 0);
}

INSTANTIATE_TEST_SUITE_P(Types, DeviceFirstLayer, testing::Values(DType::f32, DType::bf16, DType::f16),
                         [](auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace graft::tests
