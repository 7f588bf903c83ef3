// Every row of op_cases.h: the forward pass against its meaning in double, every element of every
// gradient against central differences of that meaning, and what frozen inputs must not cost.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <set>

#include "core/autograd.h"
#include "kernels/parallel.h"
#include "tests/op_cases.h"

namespace graft::tests {
namespace {

Values values_of(const Tensor& t) { return {t.data(), t.data() + t.size()}; }

double largest(const Values& v) {
  double top = 0;
  for (double x : v) top = std::max(top, std::abs(x));
  return top;
}

Tensor projection(const Shape& shape) { return make_input({shape}, "projection", 0); }

// Gradients of sum(y * r), r fixed; undefined where the input is frozen.
std::vector<Tensor> gradients(const OpCase& c, unsigned wanted) {
  std::vector<Tensor> inputs = make_inputs(c);
  for (size_t i = 0; i < inputs.size(); ++i) inputs[i].requires_grad(wanted >> i & 1);
  Tensor y = c.call(inputs);
  sum(mul(y, projection(y.shape()))).backward();
  std::vector<Tensor> result;
  for (const Tensor& t : inputs) result.push_back(t.grad());
  return result;
}

unsigned all_inputs(const OpCase& c) { return (1u << c.inputs.size()) - 1; }

void collect_leaves(const History& t, std::set<const History*>& leaves) {
  if (!t.node) {
    leaves.insert(&t);
    return;
  }
  for (const Edge& edge : t.node->edges) collect_leaves(*edge.input, leaves);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

bool nearly_same(const Tensor& a, const Tensor& b) {
  for (int64_t i = 0; i < a.size(); ++i)
    if (std::abs(a.data()[i] - b.data()[i]) > 1e-6 * largest(values_of(b)) + 1e-7) return false;
  return a.shape() == b.shape();
}

class Ops : public testing::TestWithParam<OpCase> {};

TEST_P(Ops, ForwardMeansWhatItSays) {
  const OpCase& c = GetParam();
  std::vector<Tensor> inputs = make_inputs(c);
  std::vector<Values> exact;
  for (const Tensor& t : inputs) exact.push_back(values_of(t));
  Values got = values_of(c.call(inputs)), wanted = c.meaning(exact);
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], wanted[i], c.tolerance * largest(wanted)) << "element " << i;
}

TEST_P(Ops, GradientsAreCentralDifferences) {
  const OpCase& c = GetParam();
  std::vector<Tensor> inputs = make_inputs(c);
  std::vector<Values> at;
  for (const Tensor& t : inputs) at.push_back(values_of(t));
  Values r = values_of(projection({c.call(inputs).shape()}));
  auto loss = [&] {
    Values y = c.meaning(at);
    double total = 0;
    for (size_t i = 0; i < y.size(); ++i) total += y[i] * r[i];
    return total;
  };
  std::vector<Tensor> got = gradients(c, all_inputs(c));
  constexpr double kStep = 1e-6;
  for (size_t k = 0; k < at.size(); ++k) {
    ASSERT_TRUE(got[k].defined()) << "input " << k;
    ASSERT_EQ(got[k].shape(), c.inputs[k].shape);
    Values wanted;
    for (double& x : at[k]) {
      double before = x;
      x = before + kStep;
      double up = loss();
      x = before - kStep;
      wanted.push_back((up - loss()) / (2 * kStep));
      x = before;
    }
    const double allowed = 2e-5 * largest(wanted) + 1e-6;
    for (size_t i = 0; i < wanted.size(); ++i)
      ASSERT_NEAR(got[k].data()[i], wanted[i], allowed) << "input " << k << ", element " << i;
  }
}

TEST_P(Ops, FrozenInputsCostNothingAndChangeNothing) {
  const OpCase& c = GetParam();
  std::vector<Tensor> full = gradients(c, all_inputs(c));
  for (unsigned wanted = 0; wanted <= all_inputs(c); ++wanted) {
    std::vector<Tensor> inputs = make_inputs(c);
    std::set<const History*> expected;
    for (size_t i = 0; i < inputs.size(); ++i) {
      inputs[i].requires_grad(wanted >> i & 1);
      if (wanted >> i & 1) expected.insert(history_of(inputs[i]).get());
    }
    Tensor y = c.call(inputs);
    ASSERT_EQ(y.requires_grad(), wanted != 0);
    ASSERT_EQ(node_of(y) != nullptr, wanted != 0);
    if (!wanted) continue;
    std::set<const History*> leaves;
    collect_leaves(*history_of(y), leaves);
    EXPECT_EQ(leaves, expected) << "subset " << wanted;
    EXPECT_TRUE(c.composed || int(node_of(y)->edges.size()) == std::popcount(wanted));
    std::vector<Tensor> some = gradients(c, wanted);
    for (size_t i = 0; i < some.size(); ++i) {
      ASSERT_EQ(some[i].defined(), bool(wanted >> i & 1));
      if (!some[i].defined()) continue;
      // The kernel that makes a weight's gradient sums the bias's as well, in its own order.
      bool same = i < 2 ? same_bits(some[i], full[i]) : nearly_same(some[i], full[i]);
      EXPECT_TRUE(same) << "input " << i << " of subset " << wanted;
    }
  }
}

// Our own kernels give the same bits for any number of threads. oneDNN splits the sums of a
// convolution's weight gradient by threads, so there the bits are fixed for each number only.
TEST_P(Ops, BitsDoNotDependOnThreads) {
  const OpCase& c = GetParam();
  const bool onednn = c.name.starts_with("conv2d");
  const int before = cpu::thread_count();
  cpu::set_thread_count(1);
  std::vector<Tensor> one = gradients(c, all_inputs(c));
  Tensor y = c.call(make_inputs(c));
  for (int threads : {2, 3}) {
    cpu::set_thread_count(threads);
    Tensor again = c.call(make_inputs(c));
    EXPECT_TRUE(onednn ? nearly_same(y, again) : same_bits(y, again)) << threads << " threads";
    std::vector<Tensor> more = gradients(c, all_inputs(c)), twice = gradients(c, all_inputs(c));
    for (size_t i = 0; i < one.size(); ++i) {
      bool same = onednn ? nearly_same(one[i], more[i]) : same_bits(one[i], more[i]);
      EXPECT_TRUE(same) << "input " << i << ", " << threads << " threads";
      EXPECT_TRUE(same_bits(more[i], twice[i])) << "input " << i << " a second time";
    }
  }
  cpu::set_thread_count(before);
}

INSTANTIATE_TEST_SUITE_P(Table, Ops, testing::ValuesIn(op_cases()), [](const auto& info) {
  return std::to_string(info.index) + "_" + info.param.name;
});

}  // namespace
}  // namespace graft::tests
