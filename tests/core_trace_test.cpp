// A trace: operations on its values are noted and not computed, all others run as ever.
#include "core/trace.h"

#include <gtest/gtest.h>

#include "core/autograd.h"
#include "core/ops.h"

namespace graft {
namespace {

std::vector<std::string> names(const Trace& trace) {
  std::vector<std::string> all;
  for (const TracedOp& op : trace.steps()) all.push_back(op.name);
  return all;
}

using Names = std::vector<std::string>;

TEST(Trace, NotesAFusedConvolutionAsItsParts) {
  Trace trace;
  Tensor x = trace.input({2, 5, 5, 3}), w = Tensor::full({4, 3, 3, 3}, 1);
  Tensor residual = trace.input({2, 3, 3, 4});
  Tensor y = conv2d(x, w, Tensor::full({4}, 1), {}, Activation::gelu, residual);
  EXPECT_EQ(y.shape(), (Shape{2, 3, 3, 4}));
  EXPECT_EQ(names(trace), (Names{"conv2d", "add", "activate"}));
  const TracedOp& conv = trace.steps()[0];
  EXPECT_EQ(place_of(conv.inputs[0]), place_of(x));
  EXPECT_EQ(place_of(conv.inputs[1]), place_of(w));
  EXPECT_EQ(place_of(trace.steps()[1].inputs[1]), place_of(residual));
  EXPECT_EQ(std::any_cast<Activation>(trace.steps()[2].options), Activation::gelu);
  EXPECT_TRUE(trace.has(y));
}

TEST(Trace, AFrozenFilterIsNotedWithItsScale) {
  Trace trace;
  Tensor x = trace.input({1, 2, 2, 2});
  FrozenFilter filter{Tensor::full({1, 1, 1, 2}, 3), Tensor::full({1}, 2), 1, {}};
  conv2d(x, filter, {}, {});
  ASSERT_EQ(names(trace), (Names{"conv2d"}));
  EXPECT_EQ(trace.steps()[0].inputs[1].data()[0], 6);
  filter.scale = {};
  linear(x, filter, {}, Activation::relu);
  EXPECT_EQ(names(trace), (Names{"conv2d", "linear", "activate"}));
}

TEST(Trace, ChecksShapesAsEver) {
  Trace trace;
  Tensor x = trace.input({2, 5, 5, 3});
  EXPECT_THROW(conv2d(x, Tensor({4, 3, 3, 2}), {}, {}), Error);
  EXPECT_THROW(add(x, Tensor({2})), Error);
  EXPECT_TRUE(trace.steps().empty());
}

TEST(Trace, ComputesNothing) {
  Trace trace;
  Tensor x = trace.input({1'000'000, 1000, 1000, 64});  // no memory could hold it
  Tensor y = layer_norm(relu(global_avg_pool(x)), Tensor({64}), Tensor({64}), 1e-5f);
  EXPECT_EQ(y.shape(), (Shape{1'000'000, 64}));
  EXPECT_FALSE(trace.values_were_read());
  trace.input({1}).item();
  EXPECT_TRUE(trace.values_were_read());
}

TEST(Trace, ConstantsAreComputed) {
  Trace trace;
  Tensor a = Tensor::from({2}, {1, 2}), sum = add(a, a);
  EXPECT_EQ(sum.data()[1], 4);
  EXPECT_EQ(a.reshape({2, 1}).impl()->storage, a.impl()->storage);
  EXPECT_TRUE(trace.steps().empty());
  add(trace.input({5, 2}), sum);
  EXPECT_EQ(names(trace), (Names{"add"}));
  EXPECT_EQ(trace.steps()[0].inputs[1].data()[1], 4);
}

TEST(Trace, WhatDoesNotNoteItselfIsNotedByItsRecord) {
  Trace trace;
  Tensor x = trace.input({2, 3});
  Tensor total = sum(x);
  {
    NoGrad off;
    dropout(x, 0.5f, 1, random_step(1));
  }
  EXPECT_EQ(names(trace), (Names{"sum", "dropout"}));
  EXPECT_EQ(place_of(trace.steps()[0].inputs[0]), place_of(x));
  EXPECT_TRUE(trace.has(total));
  Tensor gamma = Tensor::full({3}, 1);
  batch_norm_train(x, gamma, gamma, Tensor::zeros({3}), Tensor::full({3}, 1), 0.1f, 1e-5f);
  EXPECT_EQ(names(trace).back(), "batch_norm_train");
}

TEST(Trace, EndsWithItsLife) {
  Tensor x;
  {
    Trace trace;
    x = trace.input({2});
    EXPECT_THROW(Trace(), Error);
  }
  EXPECT_EQ(relu(x).data()[1], 0);  // computed
  Trace again;
  EXPECT_FALSE(again.has(x));
}

}  // namespace
}  // namespace graft
