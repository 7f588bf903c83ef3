// Whole networks against PyTorch: weights from three forms of file, logits, three training steps in
// three regimes, every gradient.
// Needs the files that golden.py makes; GRAFT_GOLDEN_DIR says where they are.
#include <gtest/gtest.h>

#include "layers/dropout.h"
#include "layers/optimizer.h"
#include "layers/state.h"
#include "layers/stochastic_depth.h"
#include "models/zoo.h"
#include "tests/golden.h"

namespace graft {
namespace {

using tests::GoldenFile;

// Differences are allowed up to kNoise times PyTorch's own in float32, or up to these shares of the
// value where that is luckily small. One activation whose sign rounding has turned moves a gradient
// by a share of 1e-3, a wrong formula by far more. kLogits is what users are promised.
constexpr double kNoise = 8, kValueFloor = 2e-5, kGradientFloor = 2e-3, kLogits = 1e-4;

struct Case {
  std::string arch, regime;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.arch << " " << c.regime; }
};

class Golden : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const auto& [arch, regime] = GetParam();
    if (!GoldenFile::exists(arch))
      GTEST_SKIP() << "no values for " << arch << ": run golden.py and set GRAFT_GOLDEN_DIR";
    golden_ = std::make_unique<GoldenFile>(arch);
    if (!golden_->trained(regime))
      GTEST_SKIP() << "no training of " << arch << ": golden.py --train all";
    if (regime == "eval") expect_same_files();
    model_ = build_model(arch, 10);
    load_state(*model_, golden_->weights);
    golden_->weights.clear();
    each_module(*model_, [](auto&, Module& m) {
      if (auto* dropout = dynamic_cast<Dropout*>(&m)) dropout->p = 0;
      if (auto* depth = dynamic_cast<StochasticDepth*>(&m)) depth->p = 0;
    });
  }

  // Of a tensor, or of a list of numbers.
  void expect_near(const Tensor& ours, const std::string& name, const std::string& noise) {
    const Tensor& theirs = golden_->at(name);
    double difference = tests::largest_difference(ours, theirs);
    double largest = tests::largest(theirs);
    check(name, difference, golden_->number(noise), kValueFloor * largest);
    if (name != "logits") return;
    EXPECT_LE(difference, kLogits * largest);
    report("logits", difference / largest);
  }

  void check(const std::string& name, double difference, double noise, double floor) {
    EXPECT_LE(difference, std::max(kNoise * noise, floor)) << name << ", noise " << noise;
    worst_ = std::max(worst_, difference / std::max(noise, floor / kNoise));
  }

  // For the page of models: `what` is an attribute of this test in the XML report.
  void report(const std::string& what, double value) {
    RecordProperty(what, fmt::format("{:.1e}", value));
  }

  void expect_same_files() {
    for (const char* form : {"pth", "legacy.pth"}) {
      TensorMap others = GoldenFile::read_weights_of(GetParam().arch, form);
      ASSERT_EQ(others.size(), golden_->weights.size()) << form;
      for (const auto& [name, tensor] : golden_->weights) {
        const Tensor& other = others.at(name);
        ASSERT_EQ(other.shape(), tensor.shape()) << form << " " << name;
        ASSERT_EQ(other.dtype(), tensor.dtype()) << form << " " << name;
        EXPECT_EQ(std::memcmp(other.raw(), tensor.raw(), tensor.bytes()), 0) << form << " " << name;
      }
    }
  }

  void expect_gradient(const std::string& path, const Tensor& grad) {
    const std::string at = GetParam().regime + "/";
    const Tensor& theirs = golden_->at(at + "grad/" + path);
    const Tensor& norm = golden_->at(at + "norm/" + path);
    const int64_t stride = grad.size() / 20000 + 1;
    ASSERT_EQ(theirs.size(), (grad.size() + stride - 1) / stride) << path;
    double squares = 0;
    for (int64_t i = 0; i < theirs.size(); ++i)
      squares += std::pow(double(grad.data()[i * stride]) - theirs.data()[i], 2);
    // A convolution's bias before a norm has the gradient zero; what is computed is rounding.
    double zero = 1e-6 * largest_norm_;
    const double noise = golden_->number(at + "noise/" + path);
    check("gradient of " + path, std::sqrt(squares), noise,
          kGradientFloor * tests::l2(theirs.data(), theirs.size()) + zero);
    // | |a| - |b| | <= |a - b|: a norm may differ by as much as the elements that are not compared.
    check("norm of the gradient of " + path,
          std::abs(tests::l2(grad.data(), grad.size()) - norm.item()), noise * std::sqrt(stride),
          kGradientFloor * norm.item() + zero);
  }

  void expect_gradients() {
    const std::string at = GetParam().regime + "/";
    std::set<std::string> learning;
    each_param(*model_, [&](auto& path, Param& p) {
      if (p.requires_grad()) learning.insert(path);
    });
    ASSERT_EQ(learning, golden_->names(at + "grad/"));
    for (const std::string& path : learning)
      largest_norm_ = std::max(largest_norm_, double(golden_->number(at + "norm/" + path)));
    each_param(*model_, [&](auto& path, Param& p) {
      if (p.requires_grad()) expect_gradient(path, p.grad());
    });
  }

  Tensor run_steps() {
    Optimizer sgd(*model_, {.momentum = 0.9});
    const double rate = std::stod(golden_->metadata("rate"));
    Tensor losses({3});
    for (int step = 0; step < 3; ++step) {
      model_->train();
      sgd.zero_grad();
      Tensor loss = cross_entropy((*model_)(golden_->at("input")), golden_->at("labels"));
      losses.mutable_data()[step] = loss.item();
      loss.backward();
      if (step == 0) expect_gradients();
      sgd.step(rate);
    }
    report("gradients", std::exchange(worst_, 0));
    return losses;
  }

  std::unique_ptr<GoldenFile> golden_;
  std::unique_ptr<Classifier> model_;
  double largest_norm_ = 0;
  double worst_ = 0;  // difference in units of what is taken for noise
};

TEST_P(Golden, AsPyTorch) {
  const std::string at = GetParam().regime + "/";
  model_->eval();
  expect_near((*model_)(golden_->at("input")), "logits", "logits_noise");
  if (GetParam().regime == "eval") return;
  worst_ = 0;
  freeze(*model_, golden_->metadata("plan/" + GetParam().regime));
  TensorMap before;
  for (auto& [path, tensor] : frozen_tensors(*model_)) before[path] = tensor.clone();

  expect_near(run_steps(), at + "loss", at + "loss_noise");
  model_->eval();
  expect_near((*model_)(golden_->at("input")), at + "logits", at + "logits_noise");
  each_buffer(*model_, [&](auto& path, Tensor& t) {
    if (path.find("running_") != path.npos)
      expect_near(t, at + "after/" + path, at + "noise/" + path);
  });
  for (auto& [path, tensor] : frozen_tensors(*model_))
    EXPECT_EQ(std::memcmp(tensor.raw(), before.at(path).raw(), tensor.bytes()), 0) << path;
  report("steps", worst_);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const ZooRow& row : zoo())
    for (const char* regime : {"eval", "head", "last", "all"})
      all.push_back({row.name, regime});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Zoo, Golden, testing::ValuesIn(cases()),
                         [](auto& info) { return info.param.arch + "__" + info.param.regime; });

}  // namespace
}  // namespace graft
