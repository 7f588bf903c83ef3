#include "layers/l2_sp.h"

#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

std::vector<double> values_of(const Tensor& t) { return {t.data(), t.data() + t.size()}; }

// Three steps of SGD against the formula in double: g + alpha (w - w0), the head decayed instead.
TEST(L2Sp, FollowsItsFormula) {
  constexpr double alpha = 0.3, beta = 0.2, rate = 0.1, scale = 8;
  SmallNet net;
  L2Sp pull(net, "fc", alpha);
  Optimizer optimizer(net, {.momentum = 0, .weight_decay = beta, .no_decay = pull.paths()});
  std::map<std::string, std::vector<double>> start, want;
  each_param(net, [&](auto& path, Param& p) { start[path] = want[path] = values_of(p); });
  for (int step = 0; step < 3; ++step) {
    optimizer.zero_grad();
    net.train();
    cross_entropy(net(normal({4, 9, 9, 3}, uint64_t(step))), labels_of(4, 4)).backward(scale);
    each_param(net, [&](auto& path, Param& p) {
      const std::vector<double> g = values_of(p.grad());
      const bool head = path.starts_with("fc.");
      std::vector<double>& w = want[path];
      for (size_t i = 0; i < g.size(); ++i)
        w[i] -= rate * (g[i] / scale + (head ? beta * w[i] : alpha * (w[i] - start[path][i])));
    });
    pull.add_gradient(Tensor::full({}, float(scale)));
    ASSERT_TRUE(optimizer.try_step(rate, scale));
    each_param(net, [&](auto& path, Param& p) {
      for (size_t i = 0; i < want[path].size(); ++i)
        EXPECT_NEAR(p.data()[i], want[path][i], 2e-6 * (1 + std::abs(want[path][i]))) << path;
      want[path] = values_of(p);
    });
  }
}

TEST(L2Sp, IsOfWhatLearnsWithoutTheHead) {
  SmallNet net;
  net.conv1.requires_grad(false);
  L2Sp pull(net, "fc", 1);
  EXPECT_FALSE(pull.paths().contains("conv1.weight"));
  EXPECT_FALSE(pull.paths().contains("fc.weight"));
  EXPECT_TRUE(pull.paths().contains("block.0.weight"));
  net.requires_grad(false), net.fc.requires_grad(true);
  error_of([&] { L2Sp none(net, "fc", 1); }, Fault::usage);
}

TEST(L2Sp, KeepsWhereItStarted) {
  SmallNet net, other(5);
  L2Sp pull(net, "fc", 1), later(other, "fc", 1);
  later.load_state(pull.state());
  for (auto& [path, start] : later.state()) EXPECT_TRUE(same_bits(start, pull.state().at(path)));
  TensorMap lacks = pull.state();
  lacks.erase("conv1.weight");
  error_of([&] { later.load_state(lacks); }, Fault::data);
  lacks["conv1.weigth"] = pull.state().at("conv1.weight");
  error_of([&] { later.load_state(lacks); }, Fault::data);
}

}  // namespace
}  // namespace graft
