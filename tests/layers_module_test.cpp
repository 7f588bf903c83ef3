#include "layers/module.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;
using Names = std::vector<std::string>;

Names params_of(Module& m) {
  Names names;
  each_param(m, [&](auto& path, Param&) { names.push_back(path); });
  return names;
}

Names buffers_of(Module& m) {
  Names names;
  each_buffer(m, [&](auto& path, Tensor&) { names.push_back(path); });
  return names;
}

TEST(Module, PathsFollowTheFields) {
  SmallNet net;
  EXPECT_EQ(params_of(net),
            (Names{"conv1.weight", "bn1.weight", "bn1.bias", "block.0.weight", "block.0.bias",
                   "block.1.weight", "block.1.bias", "fc.weight", "fc.bias"}));
  EXPECT_EQ(buffers_of(net),
            (Names{"bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked",
                   "block.1.running_mean", "block.1.running_var", "block.1.num_batches_tracked"}));
  Names modules;
  each_module(net, [&](auto& path, Module&) { modules.push_back(path); });
  EXPECT_EQ(modules, (Names{"", "conv1", "bn1", "block", "block.0", "block.1", "block.2", "fc"}));
}

class Optional : public Module {  // a field list over several lines, and a child that is not there
 public:
  Tensor forward(Tensor x) override { return x; }
  std::string describe() const override { return "Optional"; }
  GRAFT_FIELDS(here, missing, scale, nothing)

  std::unique_ptr<Linear> here = std::make_unique<Linear>(2, 3), missing;
  Param scale = Param({1}), nothing;
};

TEST(Module, UndefinedFieldsAreSkipped) {
  Optional m;
  EXPECT_EQ(params_of(m), (Names{"here.weight", "here.bias", "scale"}));
  Conv2d bare(2, 3, {.bias = false});
  EXPECT_EQ(params_of(bare), Names{"weight"});
}

TEST(Module, CountsParameters) {
  SmallNet net;
  EXPECT_EQ(parameter_count(net), 3 * 8 * 9 + 16 + 8 * 6 * 9 + 6 + 12 + 6 * 4 + 4);
  net.block.requires_grad(false);
  EXPECT_EQ(parameter_count(net, true), 3 * 8 * 9 + 16 + 6 * 4 + 4);
  EXPECT_EQ(parameter_count(net), 3 * 8 * 9 + 16 + 8 * 6 * 9 + 6 + 12 + 6 * 4 + 4);
}

std::vector<bool> gradients_wanted(Module& m) {
  std::vector<bool> wanted;
  each_param(m, [&](auto&, Param& p) { wanted.push_back(p.requires_grad()); });
  return wanted;
}

TEST(Module, TrainAndRequiresGradNeverTouchEachOther) {
  SmallNet net;
  net.conv1.requires_grad(false);
  net.bn1.requires_grad(false);
  auto wanted = gradients_wanted(net);
  for (bool mode : {true, false, true}) {
    net.train(mode);
    EXPECT_EQ(gradients_wanted(net), wanted);
    EXPECT_EQ(net.bn1.policy(), NormPolicy::frozen);
    each_module(net, [&](auto&, Module& m) { EXPECT_EQ(m.training(), mode); });
  }
  net.requires_grad(false);
  each_module(net, [&](auto&, Module& m) { EXPECT_TRUE(m.training()); });
  net.eval();
  net.requires_grad(true);
  each_module(net, [&](auto&, Module& m) { EXPECT_FALSE(m.training()); });
}

TEST(Module, TrainBetweenStepsThawsNothing) {
  SmallNet net;
  net.conv1.requires_grad(false);
  net.bn1.requires_grad(false);
  Optimizer sgd(net, {.weight_decay = 0.1});
  TensorMap before = snapshot(net);
  for (int step = 0; step < 3; ++step) {
    net.eval();
    train_step(net, sgd, normal({4, 9, 9, 3}, uint64_t(step)), labels_of(4, 4));
  }
  for (auto& name : changed(before, snapshot(net)))
    EXPECT_FALSE(name.starts_with("conv1") || name.starts_with("bn1")) << name;
}

TEST(Module, BuffersAreNeverTrained) {
  SmallNet net;
  net.train();
  cross_entropy(net(normal({2, 9, 9, 3}, 1)), labels_of(2, 4)).backward();
  each_buffer(net, [](auto& path, Tensor& t) {
    EXPECT_FALSE(t.requires_grad()) << path;
    EXPECT_FALSE(t.grad().defined()) << path;
  });
  Optimizer sgd(net, {});
  EXPECT_EQ(sgd.parameters(), parameter_count(net));
}

TEST(Module, EveryLayerDescribesItself) {
  SmallNet net;
  each_module(net, [](auto& path, Module& m) { EXPECT_FALSE(m.describe().empty()) << path; });
  EXPECT_EQ(net.block[0].describe(), "Conv2d 8 -> 6, 3x3, stride 2");
  EXPECT_EQ(net.bn1.describe(), "BatchNorm2d 8, train");
  EXPECT_EQ(net.fc.describe(), "Linear 6 -> 4");
}

}  // namespace
}  // namespace graft
