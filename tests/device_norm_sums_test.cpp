// The gradient of a batch norm that learns, on the CUDA device, begins with sums that the
// convolution behind it has left; where there are none, with sums over the values.
#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/norm_sums.h"
#include "kernels/runtime.h"
#include "models/zoo.h"
#include "tests/device.h"
#include "tests/layer_helpers.h"

#ifdef GRAFT_CUSIM
#include "tests/cusim/runtime_sim.h"
#endif

namespace graft::tests {
namespace {

// Shows what comes back from those who read y.
Tensor watched(const Tensor& y, const std::function<void(const Tensor&)>& see) {
  return record("watched", y.detach(), {{y, [see](const Tensor& dy) {
                                           see(dy);
                                           return dy;
                                         }}});
}

bool has_sums(const Tensor& dy) { return known_of<NormSums>(dy); }

// The values become NaN behind the engine's back.
void spoil(const Tensor& t) {
  if constexpr (kWithCuda)
    cuda::fill_bytes(const_cast<void*>(t.address()), 0xff, t.bytes(), stream());
}

// norm with an activation, and what reads it.
struct Layers {
  Conv2d conv;
  BatchNorm2d norm;
  DType type;  // of activations
  Tensor x;    // f32

  explicit Layers(DType type, Conv2dOptions options = {.kernel = 3, .padding = 1}, int64_t out = 24)
      : conv(16, out, options), norm(16), type(type) {
    conv.weight.copy_from(normal(conv.weight.shape(), 2));
    norm.weight.copy_from(uniform({16}, 3, 0.5f, 2));
    norm.bias.copy_from(normal({16}, 4));
    move_to(conv, Device::cuda), move_to(norm, Device::cuda);
    norm.train();
    x = normal({3, 7, 9, 16}, 1).to(Device::cuda).requires_grad(true);
  }

  Tensor input() const {
    return record("converted", x.detach().to(type),
                  {{x, [](const Tensor& dy) { return dy.to(DType::f32); }}});
  }

  using Reads = std::function<Tensor(const Tensor& y)>;
  Reads convolves() {
    return [this](const Tensor& y) { return conv2d(y, conv.weight, conv.bias, conv.spec); };
  }

  // -> dx, dgamma and dbeta on the processor, those that are wanted, of the sum of what `reads`
  // gives, weighted; `see` is shown the gradient of the norm's result.
  std::vector<Tensor> gradients(const Reads& reads, const std::function<void(const Tensor&)>& see,
                                Activation activation = Activation::relu,
                                const Tensor& residual = {}) {
    const Tensor z = reads(watched(norm.forward(input(), activation, residual), see));
    sum(mul(z, normal(z.shape(), 11).to(Device::cuda).to(z.dtype()))).backward();
    std::vector<Tensor> all;
    for (const Tensor& t : {x, Tensor(norm.weight), Tensor(norm.bias)})
      if (t.grad().defined()) all.push_back(t.grad().to(Device::cpu));
    return all;
  }
};

class DeviceNormSums : public DeviceTest, public testing::WithParamInterface<DType> {
 protected:
  static void expect_near(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (const size_t i : {0, 1, 2}) {
      if (i >= a.size()) break;
      // dx is rounded to its type, the others come from float sums in another order.
      const bool rounded = i == 0 && GetParam() != DType::f32;
      expect_close(a[i], b[i], !rounded ? 2e-6 : GetParam() == DType::bf16 ? 0x1p-8 : 0x1p-11);
    }
  }
};

void ignore(const Tensor&) {}
void forget(const Tensor& dy) { dy.impl()->storage->known.reset(); }

TEST_P(DeviceNormSums, TheGradientIsNotReadForThem) {
  Layers known(GetParam()), spoiled(GetParam()), read(GetParam());
  const auto a =
      known.gradients(known.convolves(), [](const Tensor& dy) { EXPECT_TRUE(has_sums(dy)); });
  const auto b = spoiled.gradients(spoiled.convolves(), spoil);
  EXPECT_TRUE(same_bits(a[1], b[1]));
  EXPECT_TRUE(same_bits(a[2], b[2]));
  const auto c = read.gradients(read.convolves(), [](const Tensor& dy) { forget(dy), spoil(dy); });
  EXPECT_TRUE(std::isnan(c[2].data()[0])) << "this would see it read";
}

TEST_P(DeviceNormSums, GiveTheGradientsOfTheValues) {
  for (const Conv2dOptions& options : {Conv2dOptions{.kernel = 3, .padding = 1},
                                       {.kernel = 1},
                                       {.kernel = 3, .stride = 2},
                                       {.kernel = 3, .padding = 2, .dilation = 2},
                                       {.kernel = 3, .padding = 1, .groups = 2},
                                       {.kernel = 3, .stride = 2, .padding = 1, .groups = 16}})
    for (Activation activation : {Activation::none, Activation::relu, Activation::relu6}) {
      const int64_t out = options.groups == 16 ? 16 : 24;
      Layers known(GetParam(), options, out), read(GetParam(), options, out);
      bool seen = false;
      const auto a = known.gradients(
          known.convolves(), [&](const Tensor& dy) { seen = has_sums(dy); }, activation);
      EXPECT_TRUE(seen);
      expect_near(a, read.gradients(read.convolves(), forget, activation));
    }
}

// A policy says what learns; only where the norm takes the statistics of the batch is there a
// second pass that the sums could come before.
TEST_P(DeviceNormSums, FollowThePolicy) {
  for (NormPolicy policy :
       {NormPolicy::train, NormPolicy::stats, NormPolicy::affine, NormPolicy::frozen}) {
    Layers known(GetParam()), read(GetParam());
    known.norm.policy(policy), read.norm.policy(policy);
    bool seen = false;
    const auto a =
        known.gradients(known.convolves(), [&](const Tensor& dy) { seen = has_sums(dy); });
    EXPECT_EQ(seen, known.norm.uses_batch_statistics());
    EXPECT_EQ(a.size(), policy == NormPolicy::train || policy == NormPolicy::affine ? 3u : 1u);
    expect_near(a, read.gradients(read.convolves(), forget));
  }
}

TEST_P(DeviceNormSums, WithNothingBelowThatLearns) {
  Layers known(GetParam()), read(GetParam());
  known.x.requires_grad(false), read.x.requires_grad(false);
  const auto a = known.gradients(known.convolves(), spoil),
             b = read.gradients(read.convolves(), forget);
  ASSERT_EQ(a.size(), 2u);
  for (size_t i = 0; i < 2; ++i) expect_close(a[i], b[i], 2e-6);
}

TEST_P(DeviceNormSums, OfAFrozenConvolution) {
  Layers known(GetParam()), read(GetParam());
  auto frozen = [](Layers& layers) {
    return [&layers](const Tensor& y) {
      FrozenFilter w{.weight = layers.conv.weight.detach(), .scale = {}, .version = 1};
      return conv2d(y, w, Tensor(), layers.conv.spec);
    };
  };
  bool seen = false;
  const auto a = known.gradients(frozen(known), [&](const Tensor& dy) { seen = has_sums(dy); });
  EXPECT_TRUE(seen);
  expect_near(a, read.gradients(frozen(read), forget));
}

// The gradient is then a sum of two, whose sums nobody has taken.
TEST_P(DeviceNormSums, OfTwoReadersAreForgotten) {
  Layers both(GetParam()), read(GetParam());
  auto twice = [](Layers& layers) {
    return [&layers](const Tensor& y) { return add(layers.convolves()(y), layers.convolves()(y)); };
  };
  const auto a = both.gradients(twice(both), [](const Tensor& dy) { EXPECT_FALSE(has_sums(dy)); });
  expect_near(a, read.gradients(twice(read), forget));

  Layers skips({GetParam()}, {.kernel = 3, .padding = 1}, 16),
      again({GetParam()}, {.kernel = 3, .padding = 1}, 16);
  auto residual = [](Layers& layers) {
    return [&layers](const Tensor& y) {
      return conv2d(y, layers.conv.weight, layers.conv.bias, layers.conv.spec, Activation::none, y);
    };
  };
  const auto b =
      skips.gradients(residual(skips), [](const Tensor& dy) { EXPECT_FALSE(has_sums(dy)); });
  expect_near(b, again.gradients(residual(again), forget));
}

TEST_P(DeviceNormSums, OfOtherReadersAreUnknown) {
  for (const Layers::Reads& reads :
       {Layers::Reads([](const Tensor& y) { return mul(y, y); }),
        Layers::Reads([](const Tensor& y) { return global_avg_pool(y); })}) {
    Layers layers(GetParam());
    layers.gradients(reads, [](const Tensor& dy) { EXPECT_FALSE(has_sums(dy)); });
  }
}

TEST_P(DeviceNormSums, OfASumWithAResidualAreUnknown) {
  Layers known(GetParam()), read(GetParam());
  const Tensor residual = normal({3, 7, 9, 16}, 21).to(Device::cuda).to(GetParam());
  const auto a = known.gradients(
      known.convolves(), [](const Tensor& dy) { EXPECT_FALSE(has_sums(dy)); }, Activation::relu,
      residual);
  expect_near(a, read.gradients(read.convolves(), forget, Activation::relu, residual));
}

TEST_P(DeviceNormSums, BehindOtherActivationsAreUnknown) {
  Layers layers(GetParam());
  layers.gradients(
      layers.convolves(), [](const Tensor& dy) { EXPECT_FALSE(has_sums(dy)); }, Activation::silu);
}

TEST_P(DeviceNormSums, OfChangedValuesAndOtherNormsAreOfNoUse) {
  Layers changed(GetParam()), other(GetParam());
  const auto a = changed.gradients(changed.convolves(), [](Tensor dy) { dy.clear(); });
  for (const Tensor& gradient : a)
    for (int64_t i = 0; i < gradient.size(); ++i) ASSERT_EQ(gradient.data()[i], 0);
  other.gradients(other.convolves(), [](const Tensor& dy) {
    EXPECT_FALSE(norm_sums(dy, Tensor({16}, DType::f32, Device::cuda)).defined());
  });
}

// What is left is some hundredths of what it is left of, and nothing else is kept for it.
TEST_P(DeviceNormSums, TakeLittleMemory) {
  if constexpr (!kWithCuda) return;
  auto peak = [](const std::function<void(const Tensor&)>& when_made) {
    Layers layers(GetParam());
    layers.x = normal({4, 32, 32, 16}, 1).to(Device::cuda).requires_grad(true);
    cuda::reset_device_peak();
    layers.gradients(
        [&](const Tensor& y) {
          when_made(y);
          return layers.convolves()(y);
        },
        ignore);
    cuda::synchronize_device();
    return cuda::device_memory().peak;
  };
  const size_t map = 4 * 32 * 32 * 16 * size_of(GetParam());
  EXPECT_LE(peak(ignore), peak([](const Tensor& y) { y.address(), forget(y); }) + map / 8);
}

INSTANTIATE_TEST_SUITE_P(Types, DeviceNormSums,
                         testing::Values(DType::f32, DType::bf16, DType::f16),
                         [](auto& info) { return std::string(name_of(info.param)); });

#ifdef GRAFT_CUSIM
struct Step {
  float loss;
  long launches;
  TensorMap gradients;  // on the processor
};

// A step of a small ResNet; `when_made` is shown what each of its norms returns.
Step step(const std::function<void(const Tensor&)>& when_made) {
  auto model = make_model("resnet10_small", 10, 1);
  model->place(Device::cuda, DType::f32);
  model->train();
  const Watch watch([&](const Module& m, const Tensor& y) {
    if (dynamic_cast<const BatchNorm2d*>(&m)) when_made(y);
  });
  const Tensor x = normal({3, 16, 16, 3}, 1).to(Device::cuda);
  Tensor loss = cross_entropy((*model)(x), labels_of(3, 10).to(Device::cuda));
  const long before = cuda::sim::launches();
  loss.backward();
  Step result{loss.item(), 0, {}};
  result.launches = cuda::sim::launches() - before;
  each_param(*model,
             [&](auto& path, Param& p) { result.gradients[path] = p.grad().to(Device::cpu); });
  return result;
}

class DeviceNormSumsOfNetworks : public DeviceTest {};

// The first norm of each of the four blocks is read by one convolution.
TEST_F(DeviceNormSumsOfNetworks, AResNetBeginsTheGradientsOfItsNorms) {
  const Step known = step(ignore), read = step(forget);
  EXPECT_EQ(known.loss, read.loss);
  EXPECT_EQ(read.launches - known.launches, 4);
  for (auto& [path, gradient] : known.gradients)
    expect_close(gradient, read.gradients.at(path), 1e-4);
}
#endif

}  // namespace
}  // namespace graft::tests
