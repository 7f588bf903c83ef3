#include <limits>

#include "layers/optimizer.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;
using Kind = OptimizerOptions::Kind;

struct Rule {
  const char* name;
  OptimizerOptions options;
};

const Rule kRules[] = {
    {"plain", {.momentum = 0}},
    {"momentum", {.momentum = 0.9}},
    {"nesterov", {.momentum = 0.8, .nesterov = true}},
    {"decay", {.momentum = 0.9, .weight_decay = 0.05}},
    {"matrices_decay", {.momentum = 0.9, .weight_decay = 0.05, .decay_all = false}},
    {"clipped", {.momentum = 0.9, .clip_norm = 0.5}},
    {"adamw", {.kind = Kind::adamw, .weight_decay = 0.1}},
    {"adamw_matrices",
     {.kind = Kind::adamw, .beta1 = 0.8, .beta2 = 0.99, .weight_decay = 0.1, .decay_all = false}},
};

// The same update on plain loops in double, one parameter tensor at a time.
struct Naive {
  std::vector<double> value, first, second;
  bool decays;

  void sgd(const OptimizerOptions& o, const std::vector<double>& grad, double rate,
           bool first_step) {
    for (size_t i = 0; i < value.size(); ++i) {
      double g = grad[i] + (decays ? o.weight_decay : 0) * value[i];
      first[i] = first_step ? g : o.momentum * first[i] + g;
      value[i] -= rate * (o.momentum == 0 ? g : o.nesterov ? g + o.momentum * first[i] : first[i]);
    }
  }
  void adamw(const OptimizerOptions& o, const std::vector<double>& grad, double rate, int step) {
    for (size_t i = 0; i < value.size(); ++i) {
      value[i] *= 1 - rate * (decays ? o.weight_decay : 0);
      first[i] = o.beta1 * first[i] + (1 - o.beta1) * grad[i];
      second[i] = o.beta2 * second[i] + (1 - o.beta2) * grad[i] * grad[i];
      double m = first[i] / (1 - std::pow(o.beta1, step)),
             v = second[i] / (1 - std::pow(o.beta2, step));
      value[i] -= rate * m / (std::sqrt(v) + o.eps);
    }
  }
};

class Rules : public testing::TestWithParam<Rule> {};

TEST_P(Rules, FollowTheirFormula) {
  const OptimizerOptions& options = GetParam().options;
  SmallNet net;
  net.conv1.requires_grad(false);
  std::map<std::string, Naive> naive;
  each_param(net, [&](auto& path, Param& p) {
    std::vector<double> zeros(size_t(p.size())), value(p.data(), p.data() + p.size());
    if (p.requires_grad()) naive[path] = {value, zeros, zeros, options.decay_all || p.rank() > 1};
  });
  Optimizer optimizer(net, options);
  for (int step = 0; step < 5; ++step) {
    double rate = 0.05 / (step + 1), squares = 0;
    optimizer.zero_grad();
    net.train();
    cross_entropy(net(normal({4, 9, 9, 3}, uint64_t(step))), labels_of(4, 4)).backward();
    std::map<std::string, std::vector<double>> grads;
    each_param(net, [&](auto& path, Param& p) {
      if (!p.requires_grad()) return;
      grads[path] = {p.grad().data(), p.grad().data() + p.size()};
      for (double g : grads[path]) squares += g * g;
    });
    EXPECT_NEAR(optimizer.step(rate), std::sqrt(squares), 1e-5 * std::sqrt(squares));
    double clip = options.clip_norm > 0 ? std::min(1.0, options.clip_norm / std::sqrt(squares)) : 1;
    each_param(net, [&](auto& path, Param& p) {
      if (!p.requires_grad()) return;
      for (double& g : grads[path]) g *= clip;
      Naive& n = naive.at(path);
      options.kind == Kind::sgd ? n.sgd(options, grads[path], rate, step == 0)
                                : n.adamw(options, grads[path], rate, step + 1);
      for (size_t i = 0; i < n.value.size(); ++i)
        ASSERT_NEAR(p.data()[i], n.value[i], 5e-5 * std::max(0.1, std::abs(n.value[i])))
            << path << " " << i << " at step " << step;
    });
  }
}

TEST_P(Rules, StateContinuesBitForBit) {
  Tensor x = normal({4, 9, 9, 3}, 9), labels = labels_of(4, 4);
  SmallNet net;
  Optimizer optimizer(net, GetParam().options);
  for (int step = 0; step < 3; ++step) train_step(net, optimizer, x, labels);
  TensorMap values = snapshot(net), state = optimizer.state();

  SmallNet resumed(77);
  each_param(resumed, [&](auto& path, Param& p) { p.copy_from(values.at(path)); });
  each_buffer(resumed, [&](auto& path, Tensor& t) { t.copy_from(values.at(path)); });
  Optimizer again(resumed, GetParam().options);
  again.load_state(state, optimizer.steps());
  EXPECT_TRUE(changed(state, again.state()).empty());
  for (int step = 0; step < 3; ++step) {
    train_step(net, optimizer, x, labels);
    train_step(resumed, again, x, labels);
  }
  EXPECT_EQ(again.steps(), 6);
  EXPECT_TRUE(changed(snapshot(net), snapshot(resumed)).empty());
  EXPECT_TRUE(changed(optimizer.state(), again.state()).empty());
}

INSTANTIATE_TEST_SUITE_P(Optimizer, Rules, testing::ValuesIn(kRules),
                         [](auto& info) { return std::string(info.param.name); });

TEST(Optimizer, NeverSeesWhatIsFrozen) {
  SmallNet net;
  freeze(net, FreezePlan::parse("until:block.1"), "fc");
  TensorMap before = snapshot(net);
  Optimizer optimizer(net, {.kind = Kind::adamw, .weight_decay = 0.5});
  for (auto& [name, moment] : optimizer.state())
    EXPECT_TRUE(name.ends_with("/block.1.weight") || name.ends_with("/block.1.bias") ||
                name.ends_with("/fc.weight") || name.ends_with("/fc.bias"))
        << name;
  EXPECT_EQ(optimizer.state().size(), 8u);
  EXPECT_EQ(optimizer.parameters(), 12 + 28);
  for (int step = 0; step < 3; ++step)
    train_step(net, optimizer, normal({4, 9, 9, 3}, 1), labels_of(4, 4));
  for (auto& name : changed(before, snapshot(net)))
    EXPECT_TRUE(name.starts_with("block.1") || name.starts_with("fc")) << name;
}

TEST(Optimizer, RefusesWhatWasFrozenAfterItWasBuilt) {
  SmallNet net;
  Optimizer optimizer(net, {.weight_decay = 0.5});
  train_step(net, optimizer, normal({4, 9, 9, 3}, 1), labels_of(4, 4));
  net.conv1.requires_grad(false);
  TensorMap before = snapshot(net);
  std::string message = error_of([&] { optimizer.step(0.1); }, Fault::usage);
  EXPECT_NE(message.find("conv1.weight"), message.npos) << message;
  EXPECT_TRUE(changed(before, snapshot(net)).empty());
}

TEST(Optimizer, NothingToTrainIsAnError) {
  SmallNet net;
  net.requires_grad(false);
  error_of([&] { Optimizer optimizer(net, {}); }, Fault::data);
}

TEST(Optimizer, StateThatDoesNotFitIsAnErrorAndChangesNothing) {
  SmallNet net;
  Optimizer optimizer(net, {});
  train_step(net, optimizer, normal({4, 9, 9, 3}, 1), labels_of(4, 4));
  const TensorMap before = optimizer.state();
  auto refused = [&](TensorMap state, const char* name) {
    std::string message = error_of([&] { optimizer.load_state(state, 7); }, Fault::data);
    EXPECT_NE(message.find(name), message.npos) << message;
    EXPECT_TRUE(changed(before, optimizer.state()).empty());
    EXPECT_EQ(optimizer.steps(), 1);
  };
  TensorMap other;
  for (auto& [name, t] : before) other[name] = Tensor::full(t.shape(), 5);
  TensorMap missing = other, unexpected = other, misshapen = other;
  missing.erase("momentum/fc.weight");
  unexpected["momentum/fc.nothing"] = Tensor::zeros({2});
  misshapen["momentum/fc.weight"] = Tensor::zeros({5, 6});
  refused(missing, "momentum/fc.weight");
  refused(unexpected, "1 of 10");
  refused(misshapen, "momentum/fc.weight");
}

TEST(Optimizer, GradientThatIsNotANumberChangesNothing) {
  SmallNet net;
  Optimizer optimizer(net, {});
  train_step(net, optimizer, normal({4, 9, 9, 3}, 1), labels_of(4, 4));
  for (float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    TensorMap before = snapshot(net), state = optimizer.state();
    Tensor grad = net.fc.bias.grad();
    grad.mutable_data()[2] = bad;
    error_of([&] { optimizer.step(0.1); }, Fault::internal);
    EXPECT_TRUE(changed(before, snapshot(net)).empty());
    EXPECT_TRUE(changed(state, optimizer.state()).empty());
    EXPECT_EQ(optimizer.steps(), 1);
    optimizer.zero_grad();
  }
}

TEST(Optimizer, HandlesHeldElsewhereStayValid) {
  SmallNet net;
  Tensor held = net.fc.weight;
  Tensor before = held.clone();
  {
    Optimizer optimizer(net, {});
    EXPECT_TRUE(same_bits(held, before));
    uint64_t version = held.version();
    train_step(net, optimizer, normal({4, 9, 9, 3}, 1), labels_of(4, 4));
    EXPECT_GT(held.version(), version);
    EXPECT_FALSE(same_bits(held, before));
    EXPECT_EQ(held.data(), net.fc.weight.data());
  }
  EXPECT_EQ(held.data(), net.fc.weight.data());  // the values outlive the optimiser
  EXPECT_FALSE(net.fc.weight.grad().defined());
}

TEST(Optimizer, ANewOneTakesOverWhileTheOldOneStillLives) {
  SmallNet net;
  Tensor x = normal({4, 9, 9, 3}, 1), labels = labels_of(4, 4);
  auto optimizer = std::make_unique<Optimizer>(net, OptimizerOptions{});
  train_step(net, *optimizer, x, labels);
  freeze(net, FreezePlan::parse("conv1"), "fc");
  optimizer = std::make_unique<Optimizer>(net, OptimizerOptions{});  // the old one ends last
  TensorMap before = snapshot(net);
  train_step(net, *optimizer, x, labels);
  auto names = changed(before, snapshot(net));
  EXPECT_TRUE(std::count(names.begin(), names.end(), "fc.weight"));
  EXPECT_FALSE(std::count(names.begin(), names.end(), "conv1.weight"));
}

TEST(Optimizer, OutlivesALayerThatWasReplaced) {
  Sequential net;
  net.add(Linear(3, 2));
  initialize(net, 1);
  Optimizer optimizer(net, {});
  net.replace(0, std::make_unique<Linear>(3, 4));
  optimizer.zero_grad();
  EXPECT_NO_THROW(optimizer.step(0.1));
}

}  // namespace
}  // namespace graft
