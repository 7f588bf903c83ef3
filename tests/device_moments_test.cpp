// Batch norm on the CUDA device has its statistics from the moments that the convolution before it
// has left; where there are none, from the values.
#include "core/moments.h"

#include "core/dispatch.h"
#include "tests/device.h"
#include "tests/layer_helpers.h"

namespace graft::tests {
namespace {

struct Layers {
  Conv2d conv;
  BatchNorm2d norm;

  explicit Layers(Conv2dOptions options = {.kernel = 3, .padding = 1, .bias = true},
                  int64_t in = 16, int64_t out = 24)
      : conv(in, out, options), norm(out) {
    conv.weight.copy_from(normal(conv.weight.shape(), 5));
    if (conv.bias.defined()) conv.bias.copy_from(normal({out}, 6, 10));
    move_to(conv, Device::cuda), move_to(norm, Device::cuda);
    norm.train();
  }
  Tensor convolved(const Tensor& x) const {
    return conv2d_with_moments(x, conv.weight, conv.bias, conv.spec);
  }
  Tensor forward(const Tensor& x) { return conv_norm_act(x, conv, &norm, Activation::relu); }
};

// The values become NaN behind the engine's back.
void spoil(const Tensor& y) {
  if constexpr (kWithCuda)
    cuda::fill_bytes(const_cast<void*>(y.address()), 0xff, y.bytes(), stream());
}

struct Running {
  Tensor mean, var;  // on the processor
};

Running running(const BatchNorm2d& norm) {
  return {norm.running_mean.to(Device::cpu), norm.running_var.to(Device::cpu)};
}

Running running_after(const Tensor& y) {
  BatchNorm2d norm(y.dim(-1));
  move_to(norm, Device::cuda);
  norm.train();
  norm(y);
  return running(norm);
}

class DeviceMoments : public DeviceTest, public testing::WithParamInterface<DType> {
 protected:
  static Tensor input(Shape shape = {3, 7, 9, 16}) {
    return normal(std::move(shape), 1).to(Device::cuda).to(GetParam());
  }
};

TEST_P(DeviceMoments, TheResultIsNotReadForItsStatistics) {
  const Tensor x = input();
  Layers layers, watched;
  layers.forward(x);
  {
    const Watch watch([&](const Module& m, const Tensor& y) {
      if (&m == &watched.conv) spoil(y);
    });
    watched.forward(x);
  }
  const Running a = running(layers.norm), b = running(watched.norm);
  EXPECT_TRUE(same_bits(a.mean, b.mean));
  EXPECT_TRUE(same_bits(a.var, b.var));
  const Tensor read = conv2d(x, layers.conv.weight, layers.conv.bias, layers.conv.spec);
  spoil(read);
  EXPECT_TRUE(std::isnan(running_after(read).mean.data()[0])) << "this would see it read";
}

TEST_P(DeviceMoments, GiveTheStatisticsOfTheValues) {
  struct Case {
    Conv2dOptions options;
    Shape x;
    int64_t out;
  };
  for (const Case& c : {Case{{.kernel = 3, .padding = 1}, {2, 12, 13, 16}, 40},
                        Case{{.kernel = 1}, {1, 3, 3, 512}, 64},  // a split depth
                        Case{{.kernel = 3, .stride = 2}, {3, 9, 9, 3}, 8},
                        Case{{.kernel = 3, .padding = 1, .groups = 4}, {2, 6, 6, 32}, 64},
                        Case{{.kernel = 5, .padding = 2, .groups = 40}, {2, 12, 7, 40}, 40}}) {
    const Layers layers(c.options, c.x.back(), c.out);
    const Tensor y = layers.convolved(input(c.x));
    const Running read = running_after(y.clone()), known = running_after(y);
    expect_close(known.mean, read.mean, 1e-6);
    expect_close(known.var, read.var, 1e-6);
  }
}

TEST_P(DeviceMoments, AreTakenOnce) {
  const Layers layers;
  const Tensor y = layers.convolved(input());
  EXPECT_TRUE(take_moments(y.detach()).of.defined());
  EXPECT_FALSE(take_moments(y).of.defined());
}

TEST_P(DeviceMoments, OfChangedValuesAreForgotten) {
  const Layers layers;
  Tensor y = layers.convolved(input());
  y.clear();
  const Running after = running_after(y);
  for (int64_t i = 0; i < after.mean.size(); ++i) ASSERT_EQ(after.mean.data()[i], 0);
}

TEST_P(DeviceMoments, OfOtherChannelsAreOfNoUse) {
  const Layers layers;
  const Tensor y = layers.convolved(input()), halves = y.reshape({-1, y.dim(-1) / 2});
  const Running read = running_after(halves.clone()), found = running_after(halves);
  EXPECT_TRUE(same_bits(found.mean, read.mean));
  EXPECT_TRUE(same_bits(found.var, read.var));
}

TEST_P(DeviceMoments, OnlyABatchNormAsksForThem) {
  const Layers layers;
  const Tensor y = conv2d(input(), layers.conv.weight, layers.conv.bias, layers.conv.spec);
  EXPECT_FALSE(take_moments(y).of.defined());
}

TEST_P(DeviceMoments, TheFirstLayerOfBytesLeavesThem) {
  Tensor bytes({2, 39, 29, 3}, DType::u8);
  for (int64_t i = 0; i < bytes.size(); ++i) bytes.mutable_data<uint8_t>()[i] = uint8_t(i * 37 % 251);
  const Tensor x = normalize(bytes.to(Device::cuda), 1.0f / 255, {0.5f, 0.4f, 0.6f},
                             {0.2f, 0.3f, 0.25f}, true, GetParam());
  const Layers layers({.kernel = 3, .stride = 2}, 3, 8);
  const Tensor y = layers.convolved(x);
  const Running read = running_after(y.clone());
  spoil(y);
  const Running known = running_after(y);
  expect_close(known.mean, read.mean, 1e-6);
  expect_close(known.var, read.var, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Types, DeviceMoments,
                         testing::Values(DType::f32, DType::bf16, DType::f16),
                         [](auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace graft::tests
