// Where values that are not finite come from: the layer of the forward pass, or the parameter whose
// gradient broke first.
#include "layers/finite.h"

#include <limits>

#include "core/autograd.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

Tensor image() { return normal({2, 9, 9, 3}, 5); }

TEST(Finite, NothingIsBroken) {
  SmallNet net;
  for (bool training : {false, true}) {
    net.train(training);
    EXPECT_EQ(first_not_finite(net, image()), "");
  }
}

TEST(Finite, AParameterOfAnyLayerIsNamed) {
  for (const char* planted : {"conv1.weight", "bn1.bias", "block.0.weight", "block.1.weight", "fc.bias"})
    for (float value : {kInf, -kInf, kNaN})
      for (bool training : {false, true}) {
        SmallNet net;
        net.train(training);
        each_param(net, [&](const std::string& path, Param& p) {
          if (path == planted) p.mutable_data()[p.size() - 1] = value;
        });
        EXPECT_EQ(first_not_finite(net, image()), planted) << value << ", training " << training;
      }
}

TEST(Finite, ALayerWhoseResultIsTooLargeIsNamed) {
  SmallNet net;
  for (int64_t i = 0; i < net.fc.weight.size(); ++i) net.fc.weight.mutable_data()[i] = 3e38f;
  EXPECT_EQ(first_not_finite(net, image()), "fc");
  for (int64_t i = 0; i < net.conv1.weight.size(); ++i) net.conv1.weight.mutable_data()[i] = 3e38f;
  EXPECT_EQ(first_not_finite(net, image()), "conv1");
}

// A norm in training takes what is broken into its statistics; the layer before it made it.
TEST(Finite, StatisticsThatTrainingMovesAreNotNamed) {
  SmallNet net;
  for (int64_t i = 0; i < net.conv1.weight.size(); ++i) net.conv1.weight.mutable_data()[i] = 3e38f;
  net.train();
  net(image());
  EXPECT_FALSE(all_finite(net.bn1.running_mean));
  EXPECT_EQ(first_not_finite(net, image()), "conv1");
}

TEST(Finite, StatisticsThatStayAreNamed) {
  SmallNet net;
  net.bn1.running_var.mutable_data()[2] = kNaN;
  EXPECT_EQ(first_not_finite(net, image()), "bn1.running_var");
  net.bn1.policy(NormPolicy::affine);
  net.train();
  EXPECT_EQ(first_not_finite(net, image()), "bn1.running_var");
}

// Two matrices, the first one tiny and the second one huge: the loss is finite, and so are all
// gradients but that of the first, 2e37 times the input.
struct Steep {
  Steep() {
    net.add(Linear(2, 2)).add(Linear(2, 2));
    initialize(net, 1);
    each_param(net, [&](const std::string& path, Param& p) {
      p.clear();
      float* values = p.mutable_data();
      if (path == "0.weight") std::fill(values, values + 4, 1e-37f);
      if (path == "1.weight")
        for (int i = 0; i < 4; ++i) values[i] = i < 2 ? 1e37f : -1e37f;
    });
  }
  Tensor loss() {  // of an image of the second class
    const std::vector<int32_t> label{1};
    return cross_entropy(net(Tensor::full({1, 2}, 100)), Tensor::from<int32_t>({1}, label));
  }
  Sequential net;
};

TEST(Finite, AGradientThatBreaksInTheBackwardPassIsNamed) {
  Steep steep;
  Optimizer optimizer(steep.net, {});
  const TensorMap before = snapshot(steep.net), moments = optimizer.state();
  const Tensor loss = steep.loss();
  EXPECT_TRUE(std::isfinite(loss.item()));
  EXPECT_EQ(first_not_finite(steep.net, [&] { steep.loss(); }), "");
  loss.backward();
  const std::string message = error_of([&] { optimizer.step(0.1); }, Fault::internal);
  EXPECT_NE(message.find("that of 0.weight before all others"), std::string::npos) << message;
  EXPECT_TRUE(changed(before, snapshot(steep.net)).empty());
  EXPECT_TRUE(changed(moments, optimizer.state()).empty());
}

}  // namespace
}  // namespace graft
