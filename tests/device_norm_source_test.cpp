// The result of a batch norm that learns, on the CUDA device in 16 bits, is made only for those who
// read it; pointwise convolutions do not.
#include "core/norm_source.h"

#include "core/autograd.h"
#include "kernels/runtime.h"
#include "tests/device.h"
#include "tests/layer_helpers.h"

namespace graft::tests {
namespace {

bool is_made(const Tensor& y) { return y.impl()->storage->in_memory(); }

// conv, norm, ReLU, conv, norm, ReLU, sum.
struct Chain {
  Conv2d conv1, conv2;
  BatchNorm2d norm1, norm2;

  explicit Chain(Conv2dOptions second = {.kernel = 1, .stride = 2})
      : conv1(8, 16, {.kernel = 1}), conv2(16, 16, second), norm1(16), norm2(16) {
    uint64_t seed = 1;
    for (Conv2d* conv : {&conv1, &conv2})
      conv->weight.copy_from(normal(conv->weight.shape(), ++seed)),
          conv->bias.copy_from(normal({16}, ++seed));
    norm1.weight.copy_from(uniform({16}, ++seed, 0.5f, 2));
    norm1.bias.copy_from(normal({16}, ++seed));
    for (Module* m : modules()) move_to(*m, Device::cuda), m->train();
  }
  std::vector<Module*> modules() { return {&conv1, &norm1, &conv2, &norm2}; }

  // -> gradients of all parameters, on the processor; `see` is shown what the first norm returns.
  std::vector<Tensor> gradients(const Tensor& x, const std::function<void(const Tensor&)>& see) {
    const Watch watch([&](const Module& m, const Tensor& y) {
      if (&m == &norm1) see(y);
    });
    Tensor y = conv_norm_act(conv_norm_act(x, conv1, &norm1, Activation::relu), conv2, &norm2,
                             Activation::relu);
    const Tensor r = normal(y.shape(), 11).to(Device::cuda).to(y.dtype());
    sum(mul(y, r)).backward();
    std::vector<Tensor> all;
    for (Module* m : modules())
      each_param(*m, [&](auto&, Param& p) { all.push_back(p.grad().to(Device::cpu)); });
    return all;
  }
};

class DeviceNormSource : public DeviceTest, public testing::WithParamInterface<DType> {
 protected:
  static Tensor input() { return normal({2, 6, 7, 8}, 1).to(Device::cuda).to(GetParam()); }
};

TEST_P(DeviceNormSource, APointwiseConvolutionDoesNotMakeIt) {
  Tensor between;
  Chain chain;
  chain.gradients(input(), [&](const Tensor& y) { between = y.detach(); });
  ASSERT_TRUE(between.defined());
  EXPECT_FALSE(is_made(between));
  EXPECT_TRUE(norm_source(between));
  EXPECT_FALSE(norm_source(between.reshape({-1, 32}))) << "these are no channels of the norm";
}

TEST_P(DeviceNormSource, OtherConvolutionsMakeIt) {
  for (int groups : {1, 16}) {
    Tensor between;
    Chain chain({.kernel = 3, .padding = 1, .groups = groups});
    chain.gradients(input(), [&](const Tensor& y) { between = y.detach(); });
    EXPECT_TRUE(is_made(between));
  }
}

TEST_P(DeviceNormSource, GradientsAreThoseOfAResultThatIsMade) {
  Chain waiting, made;
  const std::vector<Tensor> a = waiting.gradients(input(), [](const Tensor&) {});
  const std::vector<Tensor> b = made.gradients(input(), [](const Tensor& y) {
    y.address();
    EXPECT_TRUE(is_made(y));
    EXPECT_FALSE(norm_source(y));
  });
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(same_bits(a[i], b[i])) << i;
}

TEST_P(DeviceNormSource, OtherReadersMakeIt) {
  Chain chain;
  const Tensor x = conv2d(input(), chain.conv1.weight, chain.conv1.bias, chain.conv1.spec);
  const Tensor waits = chain.norm1.forward(x, Activation::relu, {});
  ASSERT_FALSE(is_made(waits));
  const NoGrad off;
  const Tensor at_once = chain.norm1.forward(x, Activation::relu, {});
  ASSERT_TRUE(is_made(at_once));
  EXPECT_TRUE(same_bits(waits.to(Device::cpu), at_once.to(Device::cpu)));
}

TEST_P(DeviceNormSource, AResidualIsNotWaitedFor) {
  Chain chain;
  const Tensor x = conv2d(input(), chain.conv1.weight, chain.conv1.bias, chain.conv1.spec);
  EXPECT_TRUE(is_made(chain.norm1.forward(x, Activation::relu, x)));
}

TEST_P(DeviceNormSource, TooLateIsAnError) {
  Chain chain;
  const Tensor x = conv2d(input(), chain.conv1.weight, chain.conv1.bias, chain.conv1.spec);
  const Tensor y = chain.norm1.forward(x, Activation::relu, {});
  chain.norm1.weight.clear();
  const std::string message = error_of([&] { y.to(Device::cpu); }, Fault::data);
  EXPECT_NE(message.find("weights changed"), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(Types, DeviceNormSource, testing::Values(DType::bf16, DType::f16),
                         [](auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace graft::tests
