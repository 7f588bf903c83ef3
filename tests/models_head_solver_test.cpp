// Heads that are solved: the weights found are the minimum of the objective that the header states.
#include "models/head_solver.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/autograd.h"
#include "layers/linear.h"
#include "models/zoo.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;
using End = LbfgsResult::End;

constexpr int64_t kClasses = 3;

// Features like those of a trunk: not negative, of different sizes, one constant and one dead.
Features features_of(Shape shape, uint64_t seed) {
  Features f{normal(shape, seed), labels_of(shape[0], kClasses)};
  const int64_t c = shape.back();
  float* x = f.values.mutable_data();
  for (int64_t i = 0; i < f.values.size(); ++i) {
    int64_t channel = i % c;
    x[i] = std::max(0.f, x[i] + 0.5f) * float(channel + 1);
    if (channel == 0) x[i] = 5;
    if (channel == 1) x[i] = 0;
  }
  return f;
}

std::unique_ptr<Classifier> model_of(const char* name) {
  auto model = make_model(name, kClasses, 7);
  freeze(*model, "trunk");
  return model;
}

// The objective of the header, in double, for a linear head.
double objective(const Tensor& w, const Tensor& b, const Features& f, const HeadSolverOptions& o) {
  const int64_t n = f.values.dim(0), c = f.values.dim(1), k = w.dim(0);
  const float* x = f.values.data();
  double loss = 0, total = 0, penalty = 0;
  for (int64_t r = 0; r < n; ++r) {
    std::vector<double> z(size_t(k), 0.0);
    double sum = 0;
    for (int64_t j = 0; j < k; ++j) {
      z[size_t(j)] = b.data()[j];
      for (int64_t i = 0; i < c; ++i) z[size_t(j)] += double(w.data()[j * c + i]) * x[r * c + i];
      sum += std::exp(z[size_t(j)]);
    }
    size_t label = size_t(f.labels.data<int32_t>()[r]);
    double weight = o.loss.class_weights.defined() ? o.loss.class_weights.data()[label] : 1;
    loss += weight * (std::log(sum) - z[label]);
    total += weight;
  }
  for (int64_t i = 0; i < c; ++i) {  // W on features of variance 1
    double mean = 0, variance = 0;
    for (int64_t r = 0; r < n; ++r) mean += x[r * c + i] / double(n);
    for (int64_t r = 0; r < n; ++r) variance += std::pow(x[r * c + i] - mean, 2) / double(n);
    for (int64_t j = 0; j < k; ++j) penalty += std::pow(w.data()[j * c + i], 2) * variance;
  }
  return loss / total + o.l2 / 2 * penalty;
}

struct Solved {
  std::unique_ptr<Classifier> model;
  Linear* fc;
  LbfgsResult result;
};

Solved solve(const Features& f, const HeadSolverOptions& o) {
  Solved s{model_of("resnet10_small"), nullptr, {}};
  s.fc = dynamic_cast<Linear*>(&s.model->head_layer());
  Features own{f.values.clone(), f.labels};
  s.result = solve_head(*s.model, own, o);
  return s;
}

TEST(HeadSolver, FindsTheMinimumOfTheObjective) {
  Features f = features_of({60, 128}, 1);
  for (bool weighted : {false, true}) {
    HeadSolverOptions o{.l2 = 0.05};
    if (weighted) o.loss.class_weights = Tensor::from({3}, {1, 5, 0.5f});
    Solved s = solve(f, o);
    EXPECT_EQ(s.result.end, End::gradient);
    double least = objective(s.fc->weight, s.fc->bias, f, o);
    EXPECT_NEAR(least, s.result.value, 1e-5);
    for (uint64_t seed = 0; seed < 20; ++seed) {  // every way leads up
      Tensor w = s.fc->weight.clone(), b = s.fc->bias.clone(), dw = normal(w.shape(), seed),
             db = normal(b.shape(), seed + 100);
      for (int64_t i = 0; i < w.size(); ++i) w.mutable_data()[i] += 1e-3f * dw.data()[i];
      for (int64_t i = 0; i < b.size(); ++i) b.mutable_data()[i] += 1e-3f * db.data()[i];
      EXPECT_GT(objective(w, b, f, o), least) << seed;
    }
  }
}

TEST(HeadSolver, WhereItStartsDoesNotMatter) {
  Features f = features_of({60, 128}, 2);
  Solved a = solve(f, {});
  Features own{f.values.clone(), f.labels};
  a.fc->weight.copy_from(normal(a.fc->weight.shape(), 9));
  Tensor before = solve(f, {}).fc->weight.clone();
  solve_head(*a.model, own, {});
  for (int64_t i = 2; i < before.size(); ++i)
    EXPECT_NEAR(a.fc->weight.data()[i], before.data()[i], 2e-3) << i;
}

TEST(HeadSolver, ChannelsThatDoNotVaryGetNoWeight) {
  Solved s = solve(features_of({60, 128}, 3), {});
  for (int64_t k = 0; k < kClasses; ++k)
    for (int64_t dead : {0, 1}) EXPECT_EQ(s.fc->weight.data()[k * 128 + dead], 0.f);
}

TEST(HeadSolver, AHeadOverAMapIsSolvedToo) {
  auto model = model_of("squeezenet1_1");
  Features f = features_of({24, 3, 3, 512}, 4);
  float before = cross_entropy(model->head(f.values), f.labels).item();
  Features own{f.values.clone(), f.labels};
  LbfgsResult result = solve_head(*model, own, {});
  EXPECT_NE(result.end, End::iterations);
  float after = cross_entropy(model->head(f.values), f.labels).item();
  EXPECT_LT(after, 0.5f * before);
  EXPECT_LE(after, result.value + 1e-4);
}

TEST(HeadSolver, WhatIsFrozenStays) {
  auto model = model_of("resnet10_small");
  TensorMap before = snapshot(*model);
  Features f = features_of({30, 128}, 5);
  solve_head(*model, f, {});
  EXPECT_EQ(changed(before, snapshot(*model)), (std::vector<std::string>{"fc.bias", "fc.weight"}));
  freeze(*model, "trunk,fc");
  EXPECT_THROW(solve_head(*model, f, {}), Error);
}

TEST(HeadSolver, WithoutASolutionTheHeadStays) {
  auto model = model_of("resnet10_small");
  TensorMap before = snapshot(*model);
  Features f = features_of({30, 128}, 5), again{f.values.clone(), f.labels};
  EXPECT_EQ(solve_head(*model, f, {.lbfgs = {.max_iterations = 2}}).end, End::iterations);
  EXPECT_TRUE(changed(before, snapshot(*model)).empty());
  int asked = 0;
  EXPECT_EQ(solve_head(*model, again, {}, [&] { return ++asked == 3; }).end, End::stopped);
  EXPECT_TRUE(changed(before, snapshot(*model)).empty());
}

TEST(HeadSolver, FeaturesOfAnotherTrunkAreRefused) {
  auto model = model_of("resnet10_small");
  Features f = features_of({30, 64}, 6);
  EXPECT_THROW(solve_head(*model, f, {}), Error);
}

// hidden() and head() are what lies behind the trunk, in every network.
TEST(HeadSolver, ForwardIsItsThreeParts) {
  for (const char* name : {"vgg11", "mobilenet_v3_small", "squeezenet1_1", "resnet10_small"}) {
    auto model = make_model(name, 5, 3);
    model->eval();
    NoGrad off;
    Tensor x = normal({2, 64, 64, 3}, 1);
    Tensor parts = model->head(model->hidden(model->trunk(x)));
    EXPECT_TRUE(same_bits(parts, (*model)(x))) << name;
    EXPECT_EQ(model->hidden(model->trunk(x)).dim(-1),
              dynamic_cast<Linear*>(&model->head_layer())
                  ? dynamic_cast<Linear&>(model->head_layer()).weight.dim(1)
                  : 512) << name;
  }
}

}  // namespace
}  // namespace graft
