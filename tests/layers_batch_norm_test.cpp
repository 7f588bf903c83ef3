#include "layers/batch_norm.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

struct Row {  // the table at the head of layers/batch_norm.h
  NormPolicy policy;
  bool learns, moves;
};

const Row kTable[] = {{NormPolicy::train, true, true},
                      {NormPolicy::affine, true, false},
                      {NormPolicy::stats, false, true},
                      {NormPolicy::frozen, false, false}};

class Policy : public testing::TestWithParam<Row> {
 protected:
  Policy() : norm(6) {
    randomise(norm, 3);
    norm.policy(GetParam().policy);
    norm.train();
  }
  BatchNorm2d norm;
  Tensor x = normal({4, 3, 5, 6}, 1, 2);
};

// gamma (x - mean) / sqrt(var + eps) + beta with the statistics of x itself, in double.
Tensor with_batch_statistics(const BatchNorm2d& norm, const Tensor& x) {
  const int64_t channels = x.dim(3), rows = x.size() / channels;
  Tensor y(x.shape());
  for (int64_t c = 0; c < channels; ++c) {
    double mean = 0, var = 0;
    for (int64_t r = 0; r < rows; ++r) mean += x.data()[r * channels + c] / double(rows);
    for (int64_t r = 0; r < rows; ++r)
      var += std::pow(x.data()[r * channels + c] - mean, 2) / double(rows);
    for (int64_t r = 0; r < rows; ++r)
      y.mutable_data()[r * channels + c] = float(
          (x.data()[r * channels + c] - mean) / std::sqrt(var + norm.eps) * norm.weight.data()[c] +
          norm.bias.data()[c]);
  }
  return y;
}

Tensor with_running_statistics(const BatchNorm2d& norm, const Tensor& x) {
  Tensor y(x.shape());
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t c = i % x.dim(3);
    y.mutable_data()[i] =
        float((double(x.data()[i]) - norm.running_mean.data()[c]) /
                  std::sqrt(double(norm.running_var.data()[c]) + norm.eps) * norm.weight.data()[c] +
              norm.bias.data()[c]);
  }
  return y;
}

TEST_P(Policy, MovesWhatTheTableSays) {
  Linear after(6, 2);  // so that something always learns
  initialize(after, 1);
  Sequential net;
  net.add(std::move(norm)).add(std::move(after));
  auto& moved = dynamic_cast<BatchNorm2d&>(net[0]);
  Optimizer sgd(net, {.weight_decay = 0.01});
  TensorMap before = snapshot(moved);
  for (int step = 0; step < 3; ++step) {
    net.train();
    sgd.zero_grad();
    Tensor y = linear(global_avg_pool(net[0](x)), dynamic_cast<Linear&>(net[1]).weight, {});
    cross_entropy(y, labels_of(4, 2)).backward();
    sgd.step(0.1);
  }
  auto names = changed(before, snapshot(moved));
  std::vector<std::string> expected;
  if (GetParam().learns) expected.push_back("bias");
  if (GetParam().moves)
    expected.insert(expected.end(), {"num_batches_tracked", "running_mean", "running_var"});
  if (GetParam().learns) expected.push_back("weight");
  EXPECT_EQ(names, expected);
  EXPECT_EQ(moved.num_batches_tracked.data<int64_t>()[0], GetParam().moves ? 3 : 0);
}

TEST_P(Policy, NormalisesWithWhatTheTableSays) {
  EXPECT_EQ(norm.uses_batch_statistics(), GetParam().moves);
  Tensor expected =
      GetParam().moves ? with_batch_statistics(norm, x) : with_running_statistics(norm, x);
  expect_close(norm(x), expected, 1e-6);
}

TEST_P(Policy, UsesTheRunningStatisticsInEval) {
  norm.eval();
  EXPECT_FALSE(norm.uses_batch_statistics());
  TensorMap before = snapshot(norm);
  expect_close(norm(x), with_running_statistics(norm, x), 1e-6);
  EXPECT_TRUE(changed(before, snapshot(norm)).empty());
}

TEST_P(Policy, SameNumbersInTrainAndEvalExactlyWhenNothingMoves) {
  Tensor trained = norm(x);
  norm.eval();
  EXPECT_EQ(same_bits(trained, norm(x)), !GetParam().moves);
}

TEST_P(Policy, FreezingIsNotUndoneByUnfreezing) {
  norm.requires_grad(true);
  EXPECT_EQ(norm.policy(), GetParam().policy);
  EXPECT_EQ(norm.weight.requires_grad(), GetParam().learns);
  norm.requires_grad(false);
  norm.requires_grad(true);
  norm.train();
  EXPECT_EQ(norm.policy(), NormPolicy::frozen);
  EXPECT_FALSE(norm.weight.requires_grad() || norm.bias.requires_grad());
  norm.policy(GetParam().policy);
  EXPECT_EQ(norm.weight.requires_grad(), GetParam().learns);
}

INSTANTIATE_TEST_SUITE_P(BatchNorm, Policy, testing::ValuesIn(kTable),
                         [](auto& info) { return std::string(name_of(info.param.policy)); });

TEST(BatchNorm, RunningStatisticsMoveAsPyTorch) {
  BatchNorm2d norm(1);
  norm.train();
  norm(Tensor::from({2, 1, 2, 1}, {1, 2, 3, 6}));  // mean 3, unbiased variance 14 / 3
  EXPECT_FLOAT_EQ(norm.running_mean.data()[0], 0.3f);
  EXPECT_FLOAT_EQ(norm.running_var.data()[0], 0.9f + 0.1f * 14 / 3);
  EXPECT_EQ(norm.num_batches_tracked.data<int64_t>()[0], 1);
}

TEST(BatchNorm, OneValueIsRefusedAndChangesNothing) {
  BatchNorm2d norm(3);
  norm.train();
  TensorMap before = snapshot(norm);
  error_of([&] { norm(Tensor::full({1, 1, 1, 3}, 2)); }, Fault::data);
  EXPECT_TRUE(changed(before, snapshot(norm)).empty());
  norm.policy(NormPolicy::frozen);
  EXPECT_NO_THROW(norm(Tensor::full({1, 1, 1, 3}, 2)));
}

}  // namespace
}  // namespace graft
