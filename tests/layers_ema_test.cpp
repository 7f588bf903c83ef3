#include "layers/ema.h"

#include "core/autograd.h"

#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

TEST(Ema, FollowsItsFormula) {
  constexpr double decay = 0.3;  // reached when (1 + t) / (10 + t) is above: from t = 3 on
  SmallNet net;
  Optimizer optimizer(net, {});
  Ema ema(net, decay);
  std::map<std::string, std::vector<double>> want;
  auto values = [](const Tensor& t) { return std::vector<double>(t.data(), t.data() + t.size()); };
  for (auto& [path, t] : snapshot(net)) if (t.dtype() == DType::f32) want[path] = values(t);
  for (int t = 0; t < 6; ++t) {
    train_step(net, optimizer, normal({4, 9, 9, 3}, uint64_t(t)), labels_of(4, 4));
    ema.update();
    const double d = std::min(decay, (1.0 + t) / (10.0 + t));
    for (auto& [path, now] : snapshot(net))
      for (size_t i = 0; now.dtype() == DType::f32 && i < want[path].size(); ++i)
        want[path][i] = d * want[path][i] + (1 - d) * now.data()[i];
  }
  TensorMap state = ema.state();
  EXPECT_EQ(state.size(), want.size());
  for (auto& [path, mean] : state)
    for (size_t i = 0; i < want[path].size(); ++i)
      EXPECT_NEAR(mean.data()[i], want[path][i], 2e-6 * (1 + std::abs(want[path][i]))) << path;
}

TEST(Ema, SwapIsUndoneToTheBitAndCachesNotice) {
  SmallNet net;
  Optimizer optimizer(net, {});
  Ema ema(net, 0.9);
  Tensor x = normal({2, 9, 9, 3}, 7);
  for (int t = 0; t < 3; ++t)
    train_step(net, optimizer, normal({4, 9, 9, 3}, uint64_t(t)), labels_of(4, 4)), ema.update();
  net.eval();
  NoGrad off;
  TensorMap before = snapshot(net), means = ema.state();
  Tensor y = net(x);
  {
    Averaged now(&ema);
    for (auto& [path, mean] : means) EXPECT_TRUE(same_bits(mean, snapshot(net).at(path))) << path;
    EXPECT_FALSE(same_bits(net(x), y));
  }
  EXPECT_TRUE(changed(before, snapshot(net)).empty());
  EXPECT_TRUE(same_bits(net(x), y));
  Averaged nothing(nullptr);
}

TEST(Ema, LeavesOutWhatStays) {
  SmallNet net;
  net.conv1.requires_grad(false);
  net.bn1.policy(NormPolicy::frozen);
  TensorMap state = Ema(net, 0.9).state();
  for (const char* path : {"conv1.weight", "bn1.weight", "bn1.running_mean"})
    EXPECT_FALSE(state.contains(path)) << path;
  EXPECT_TRUE(state.contains("block.1.running_var"));
}

TEST(Ema, GoesOnFromItsState) {
  SmallNet net;
  Ema one(net, 0.9);
  net.fc.bias.copy_from(normal({4}, 3));
  one.update();
  Ema two(net, 0.9);
  two.load_state(one.state(), one.updates());
  net.fc.bias.copy_from(normal({4}, 4));
  one.update(), two.update();
  for (auto& [path, mean] : one.state()) EXPECT_TRUE(same_bits(mean, two.state().at(path))) << path;
  TensorMap lacks = one.state();
  lacks.erase("fc.bias");
  error_of([&] { two.load_state(lacks, 1); }, Fault::data);
}

}  // namespace
}  // namespace graft
