// Whole networks trained on the CUDA device against the processor, step by step.
#include "core/autograd.h"
#include "layers/state.h"
#include "models/neighbours.h"
#include "models/zoo.h"
#include "tests/device.h"
#include "tests/layer_helpers.h"

namespace graft::tests {
namespace {

constexpr int64_t kImages = 3, kSide = 16, kClasses = 10;

struct Images {
  int64_t count = kImages, side = kSide;
};

struct Outcome {
  std::vector<float> losses;
  TensorMap values;  // on the processor
};

Tensor pixels(int step, Images of = {}) {
  return normal({of.count, of.side, of.side, 3}, uint64_t(step));
}

struct Training {
  std::string network = "resnet10_small", plan = "none";
  OptimizerOptions optimizer{.momentum = 0.9};
  DType activations = DType::f32;
  double loss_scale = 1, rate = 0.02;
  int steps = 2;
  Images images = {};
  bool one_batch = false;  // the same images in every step
};

Outcome train(const Training& t, Device device) {
  auto model = make_model(t.network, kClasses, 1);
  model->place(device, device == Device::cpu ? DType::f32 : t.activations);
  freeze(*model, t.plan);
  Optimizer optimizer(*model, t.optimizer);
  model->train();
  Outcome run;
  for (int step = 0; step < t.steps; ++step) {
    set_random_step(*model, 1, uint64_t(step));
    optimizer.zero_grad();
    Tensor x = pixels(t.one_batch ? 0 : step, t.images).to(device).to(model->activations());
    Tensor loss = cross_entropy((*model)(x), labels_of(t.images.count, kClasses).to(device));
    loss.backward(float(t.loss_scale));
    EXPECT_TRUE(optimizer.try_step(t.rate, t.loss_scale).has_value());
    run.losses.push_back(loss.item());
  }
  run.values = snapshot(*model);
  return run;
}

// How far the values moved apart, as a share of how far they moved from where they began.
double apart(const TensorMap& a, const TensorMap& b, const TensorMap& start) {
  double difference = 0, way = 0;
  for (auto& [path, tensor] : b) {
    if (tensor.dtype() != DType::f32) continue;
    for (int64_t i = 0; i < tensor.size(); ++i) {
      difference += std::pow(double(a.at(path).data()[i]) - tensor.data()[i], 2);
      way += std::pow(double(start.at(path).data()[i]) - tensor.data()[i], 2);
    }
  }
  return std::sqrt(difference / way);
}

void compare_losses(const Outcome& device, const Outcome& cpu, double tolerance) {
  ASSERT_EQ(device.losses.size(), cpu.losses.size());
  for (size_t i = 0; i < cpu.losses.size(); ++i)
    EXPECT_NEAR(device.losses[i], cpu.losses[i], tolerance * cpu.losses[i]) << "step " << i;
}

void compare(const Training& t, double loss_tolerance, double way_tolerance) {
  Outcome device = train(t, Device::cuda), cpu = train(t, Device::cpu);
  TensorMap start = snapshot(*make_model(t.network, kClasses, 1));
  compare_losses(device, cpu, loss_tolerance);
  EXPECT_LE(apart(device.values, cpu.values, start), way_tolerance);
}

class DeviceTraining : public DeviceTest {};

TEST_F(DeviceTraining, EverythingLearns) { compare({}, 1e-5, 1e-3); }
TEST_F(DeviceTraining, LastStageLearns) { compare({.plan = "until:layer4"}, 1e-5, 1e-3); }
TEST_F(DeviceTraining, NormsTakeStatisticsOnly) { compare({.plan = "trunk,bn=stats"}, 1e-5, 1e-3); }

// Half of the channels of a shortcut are zeros, made where the others are.
TEST_F(DeviceTraining, ThinShortcuts) {
  compare({.network = "resnet20", .plan = "trunk"}, 1e-5, 1e-3);
}

TEST_F(DeviceTraining, AdamWWithDecayAndClipping) {
  // Adam's first steps are the signs of gradients: where those are nearly 0 rounding decides.
  compare({.optimizer = {.kind = OptimizerOptions::Kind::adamw, .weight_decay = 0.1, .clip_norm = 0.5}},
          1e-4, 0.1);
}

TEST_F(DeviceTraining, Bf16) { compare({.activations = DType::bf16}, 0.02, 0.25); }

TEST_F(DeviceTraining, F16WithLossScale) {
  compare({.activations = DType::f16, .loss_scale = 1024}, 0.005, 0.05);
}

TEST_F(DeviceTraining, SameSeedSameBits) {
  const Training t{.activations = DType::bf16};
  Outcome a = train(t, Device::cuda), b = train(t, Device::cuda);
  EXPECT_EQ(a.losses, b.losses);
  EXPECT_TRUE(changed(a.values, b.values).empty());
}

TEST_F(DeviceTraining, FrozenStaysToTheBit) {
  auto model = make_model("resnet10_small", kClasses, 1);
  freeze(*model, "trunk");
  std::set<std::string> frozen;
  for (auto& [path, tensor] : frozen_tensors(*model)) frozen.insert(path);
  TensorMap before = snapshot(*model);
  Outcome run = train({.plan = "trunk", .optimizer = {.momentum = 0.9, .weight_decay = 0.1}}, Device::cuda);
  for (auto& [path, tensor] : run.values)
    EXPECT_EQ(same_bits(tensor, before.at(path)), frozen.contains(path)) << path;
}

// Gradients that leave the range of f16 change nothing, not even momenta.
TEST_F(DeviceTraining, BrokenGradientsChangeNothing) {
  auto model = make_model("resnet10_small", kClasses, 1);
  model->place(Device::cuda, DType::f16);
  Optimizer optimizer(*model, {.momentum = 0.9});
  TensorMap before = snapshot(*model), moments = optimizer.state();
  model->train();
  cross_entropy((*model)(pixels(0).to(Device::cuda).to(DType::f16)),
                labels_of(kImages, kClasses).to(Device::cuda))
      .backward(1e9f);
  EXPECT_FALSE(optimizer.try_step(0.1, 1e9).has_value());
  TensorMap after = snapshot(*model);
  each_param(*model, [&](auto& path, Param&) { EXPECT_TRUE(same_bits(after.at(path), before.at(path))); });
  EXPECT_TRUE(changed(moments, optimizer.state()).empty());
}

// The first to be made is named: of those behind it, which it broke, none.
TEST_F(DeviceTraining, BrokenGradientsAreNamed) {
  for (DType activations : {DType::f32, DType::bf16}) {
    auto model = make_model("resnet10_small", kClasses, 1);
    model->place(Device::cuda, activations);
    Optimizer optimizer(*model, {});
    const TensorMap before = snapshot(*model);
    for (float broken : {INFINITY, NAN}) {
      optimizer.zero_grad();
      each_param(*model, [&](const std::string& path, Param& p) {
        if (path == "layer2.0.conv1.weight" || path == "layer3.0.bn1.bias")
          Tensor(p.grad()).copy_from(Tensor::full(p.shape(), broken));
      });
      const std::string message = error_of([&] { optimizer.step(0.1); }, Fault::internal);
      EXPECT_NE(message.find("not finite at step 0, that of layer3.0.bn1.bias before all others"),
                std::string::npos) << message;
    }
    TensorMap after = snapshot(*model);
    each_param(*model, [&](auto& path, Param&) { EXPECT_TRUE(same_bits(after.at(path), before.at(path))); });
  }
}

TEST_F(DeviceTraining, StateComesBackAndGoesThere) {
  auto there = make_model("resnet10_small", kClasses, 1), here = make_model("resnet10_small", kClasses, 2);
  there->place(Device::cuda);
  load_state(*here, state(*there));
  EXPECT_TRUE(changed(snapshot(*here), snapshot(*there)).empty());
  auto other = make_model("resnet10_small", kClasses, 3);
  other->place(Device::cuda, DType::bf16);
  load_state(*other, state(*here));
  EXPECT_TRUE(changed(snapshot(*here), snapshot(*other)).empty());
}

TEST_F(DeviceTraining, AMixOfDevicesIsAnError) {
  auto model = make_model("resnet10_small", kClasses, 1);
  model->place(Device::cuda);
  std::string message = error_of([&] { (*model)(pixels(0)); }, Fault::data);
  EXPECT_NE(message.find("to(Device)"), std::string::npos) << message;
}

// The network that the speed is promised for, by its losses: 2.43 falls to 1.07. They are sensitive:
// on the processor noise of 1e-6 on weights and images moves them by 0.3 %, rounding both to bf16 by
// 11 %.
class DeviceResNet50 : public DeviceTest {
 protected:
  void SetUp() override {
#ifdef GRAFT_CUSIM
    GTEST_SKIP() << "on the simulated device a step of ResNet-50 takes minutes";
#endif
    DeviceTest::SetUp();
  }
  static void expect_losses_of_cpu(DType activations, double loss_scale, double tolerance) {
    Training t{.network = "resnet50", .optimizer = {.momentum = 0.9}, .rate = 1e-6, .steps = 4};
    t.images = {.count = 8, .side = 64}, t.one_batch = true;
    static const Outcome cpu = train(t, Device::cpu);
    EXPECT_LT(cpu.losses.back(), 0.5f * cpu.losses.front());
    t.activations = activations, t.loss_scale = loss_scale;
    compare_losses(train(t, Device::cuda), cpu, tolerance);
  }
};

TEST_F(DeviceResNet50, LossesInF32) { expect_losses_of_cpu(DType::f32, 1, 0.02); }
TEST_F(DeviceResNet50, LossesInBf16) { expect_losses_of_cpu(DType::bf16, 1, 0.25); }
TEST_F(DeviceResNet50, LossesInF16) { expect_losses_of_cpu(DType::f16, 64, 0.06); }

// In inference the layers of the other families: depthwise filters, squeeze and excitation, concat,
// attention in windows.
class DeviceNetworks : public DeviceTest, public testing::WithParamInterface<const char*> {};

TEST_P(DeviceNetworks, AnswerAsOnTheProcessor) {
  const int64_t side = zoo_row(GetParam()).small;
  auto model = make_model(GetParam(), kClasses, 1);
  NoGrad off;
  model->eval();
  Tensor x = normal({1, side, side, 3}, 1), wanted = (*model)(x).clone();
  model->place(Device::cuda);
  Tensor got = (*model)(x.to(Device::cuda));
  expect_close(got.to(Device::cpu), wanted, 1e-4);
}

// A head of stored images votes on the processor.
TEST_F(DeviceTraining, StoredImagesVoteAlike) {
  for (DType type : {DType::f32, DType::bf16}) {
    auto model = make_model("resnet10_small", kClasses, 1);
    NoGrad off;
    model->eval();
    const Tensor x = pixels(1);
    store_neighbours(*model, {model->hidden(model->trunk(x)), labels_of(kImages, kClasses)}, 2);
    const Tensor wanted = (*model)(x).clone();
    model->place(Device::cuda, type);
    expect_close((*model)(x.to(Device::cuda)).to(Device::cpu), wanted, type == DType::f32 ? 1e-4 : 0.05);
  }
}

INSTANTIATE_TEST_SUITE_P(Small, DeviceNetworks,
                         testing::Values("resnet10_small", "squeezenet1_1", "mobilenet_v3_small",
                                         "shufflenet_v2_x0_5"));

}  // namespace
}  // namespace graft::tests
