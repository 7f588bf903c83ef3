// Heads by ridge regression: against normal equations and against fits that truly leave one out.
#include "models/ridge_solver.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/autograd.h"
#include "layers/linear.h"
#include "models/ridge_path.h"
#include "models/zoo.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;
using Matrix = std::vector<std::vector<double>>;

// x with a x = b, by Gauss with pivots; b (n,k).
Matrix solved(Matrix a, Matrix b) {
  const size_t n = a.size();
  for (size_t c = 0; c < n; ++c) {
    size_t pivot = c;
    for (size_t r = c; r < n; ++r)
      if (std::abs(a[r][c]) > std::abs(a[pivot][c])) pivot = r;
    std::swap(a[c], a[pivot]), std::swap(b[c], b[pivot]);
    for (size_t r = 0; r < n; ++r) {
      if (r == c) continue;
      const double f = a[r][c] / a[c][c];
      for (size_t j = c; j < n; ++j) a[r][j] -= f * a[c][j];
      for (size_t j = 0; j < b[r].size(); ++j) b[r][j] -= f * b[c][j];
    }
  }
  for (size_t r = 0; r < n; ++r)
    for (double& value : b[r]) value /= a[r][r];
  return b;
}

// Least squares of y on x and, with a constant, a column of ones whose weight is not penalised:
// (d or d + 1, k).
Matrix normal_equations(const Matrix& x, const Matrix& y, double penalty, bool constant) {
  const size_t d = x[0].size(), size = d + constant, k = y[0].size();
  Matrix a(size, std::vector<double>(size)), b(size, std::vector<double>(k));
  auto at = [&](size_t row, size_t i) { return i < d ? x[row][i] : 1; };
  for (size_t row = 0; row < x.size(); ++row)
    for (size_t i = 0; i < size; ++i) {
      for (size_t j = 0; j < size; ++j) a[i][j] += at(row, i) * at(row, j);
      for (size_t j = 0; j < k; ++j) b[i][j] += at(row, i) * y[row][j];
    }
  for (size_t i = 0; i < d; ++i) a[i][i] += penalty;
  return solved(a, b);
}

struct Problem {
  Matrix x, y;  // columns of x of mean 0 where centred
};

Problem problem_of(int64_t n, int64_t d, int64_t k, bool centred) {
  Tensor values = normal({n, d}, 11);
  Problem p{Matrix(size_t(n), std::vector<double>(size_t(d))), Matrix(size_t(n), std::vector<double>(size_t(k)))};
  for (int64_t j = 0; j < d; ++j) {
    double mean = 0;
    for (int64_t i = 0; i < n; ++i) mean += values.data()[i * d + j] / double(n);
    for (int64_t i = 0; i < n; ++i)
      p.x[size_t(i)][size_t(j)] = values.data()[i * d + j] - (centred ? mean : 0);
  }
  for (int64_t i = 0; i < n; ++i) p.y[size_t(i)][size_t(i * i % k)] = 1;
  return p;
}

std::vector<double> flat(const Matrix& m) {
  std::vector<double> all;
  for (auto& row : m) all.insert(all.end(), row.begin(), row.end());
  return all;
}

class RidgePaths : public testing::TestWithParam<std::tuple<int, int, bool>> {};

TEST_P(RidgePaths, AreTheNormalEquationsAndTrulyLeaveOut) {
  auto [n, d, centred] = GetParam();
  const size_t k = 3;
  const Problem p = problem_of(n, d, k, centred);
  const RidgePath path(flat(p.x), n, flat(p.y), centred);
  for (double penalty : {1e-2, 1.0, 300.0}) {
    auto fit = path.fit(penalty, true);
    ASSERT_TRUE(fit);
    Matrix want = normal_equations(p.x, p.y, penalty, centred);
    for (size_t j = 0; j < size_t(d); ++j)
      for (size_t c = 0; c < k; ++c) EXPECT_NEAR(fit->weights[c * size_t(d) + j], want[j][c], 1e-9);
    for (size_t c = 0; c < k; ++c) EXPECT_NEAR(fit->constant[c], centred ? want.back()[c] : 0, 1e-9);
    for (size_t out = 0; out < size_t(n); ++out) {
      Problem rest = p;
      rest.x.erase(rest.x.begin() + long(out)), rest.y.erase(rest.y.begin() + long(out));
      Matrix w = normal_equations(rest.x, rest.y, penalty, centred);
      for (size_t c = 0; c < k; ++c) {
        double value = centred ? w.back()[c] : 0;
        for (size_t j = 0; j < size_t(d); ++j) value += p.x[out][j] * w[j][c];
        EXPECT_NEAR(fit->left_out[out * k + c], value, 1e-7) << out << ", penalty " << penalty;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, RidgePaths,
                         testing::Combine(testing::Values(5, 12, 23), testing::Values(1, 2, 7, 12, 30),
                                          testing::Bool()));

TEST(RidgePath, ASingularSystemHasNoFit) {
  Problem p = problem_of(12, 4, 2, true);
  for (auto& row : p.x) row[3] = row[2] + row[1];
  EXPECT_FALSE(RidgePath(flat(p.x), 12, flat(p.y), true).fit(0, true));
  EXPECT_TRUE(RidgePath(flat(p.x), 12, flat(p.y), true).fit(1e-3, true));
}

// ---- heads ------------------------------------------------------------------------------------

constexpr int64_t kClasses = 3;

// Like a trunk's: not negative, of different sizes; classes differ in some channels; one is constant.
Features features_of(Shape shape, uint64_t seed) {
  Features f{normal(shape, seed), labels_of(shape[0], kClasses)};
  const int64_t c = shape.back(), each = f.values.size() / shape[0];
  float* x = f.values.mutable_data();
  for (int64_t i = 0; i < f.values.size(); ++i) {
    const int64_t channel = i % c, label = f.labels.data<int32_t>()[i / each];
    x[i] = std::max(0.f, x[i] + (channel % 5 == label ? 1.5f : 0.5f)) * float(channel % 7 + 1);
    if (channel == 0) x[i] = 5;
  }
  return f;
}

std::unique_ptr<Classifier> model_of(const char* name) {
  auto model = make_model(name, kClasses, 7);
  freeze(*model, "trunk");
  return model;
}

TEST(RidgeSolver, WritesTheHeadThatTheNormalEquationsGive) {
  for (int64_t n : {40, 300}) {  // below and above the 128 channels
    auto model = model_of("resnet10_small");
    const Features f = features_of({n, 128}, 1);
    const RidgeResult result = solve_ridge(*model, f, 0.1);
    Matrix x{size_t(n), std::vector<double>(127)}, y{size_t(n), std::vector<double>(kClasses)};
    std::vector<double> mean(127), deviation(127);
    for (int64_t j = 0; j < 127; ++j) {
      auto value = [&](int64_t i) { return double(f.values.data()[i * 128 + j + 1]); };
      double m = 0, v = 0;
      for (int64_t i = 0; i < n; ++i) m += value(i) / double(n);
      for (int64_t i = 0; i < n; ++i) v += std::pow(value(i) - m, 2) / double(n);
      mean[size_t(j)] = m, deviation[size_t(j)] = std::sqrt(v);
      for (int64_t i = 0; i < n; ++i) x[size_t(i)][size_t(j)] = (value(i) - m) / std::sqrt(v);
    }
    for (int64_t i = 0; i < n; ++i) y[size_t(i)][size_t(f.labels.data<int32_t>()[i])] = 1;
    Matrix w = normal_equations(x, y, 0.1 * double(n), true);
    auto& fc = dynamic_cast<Linear&>(model->head_layer());
    for (size_t k = 0; k < kClasses; ++k) {
      double bias = w.back()[k];
      for (size_t j = 0; j < 127; ++j) {
        const double want = w[j][k] / deviation[j];
        bias -= want * mean[j];
        EXPECT_NEAR(fc.weight.data()[k * 128 + j + 1] / result.factor, want, 1e-6);
      }
      EXPECT_NEAR(fc.bias.data()[k] / result.factor, bias, 1e-5);
      EXPECT_EQ(fc.weight.data()[k * 128], 0.f);  // the channel that does not vary
    }
    EXPECT_NEAR(result.loss, cross_entropy(model->head(f.values), f.labels).item(), 1e-5);
  }
}

// No other penalty of the grid leaves a smaller left-out error, and no other factor better probabilities.
TEST(RidgeSolver, ChoosesByWhatIsLeftOut) {
  const Features f = features_of({60, 128}, 2);
  const RidgeResult chosen = solve_ridge(*model_of("resnet10_small"), f);
  for (double l2 = 1e-4; l2 < 2000; l2 *= 10)
    EXPECT_GE(solve_ridge(*model_of("resnet10_small"), f, l2).error, chosen.error - 1e-12) << l2;
  EXPECT_GT(chosen.accuracy, 0.8);
  EXPECT_GT(chosen.factor, 1);
}

TEST(RidgeSolver, TheSameBitsWhereverItStarts) {
  const Features f = features_of({60, 128}, 3);
  auto a = make_model("resnet10_small", kClasses, 1), b = make_model("resnet10_small", kClasses, 2);
  solve_ridge(*a, f), solve_ridge(*b, f);
  auto &fa = dynamic_cast<Linear&>(a->head_layer()), &fb = dynamic_cast<Linear&>(b->head_layer());
  EXPECT_TRUE(same_bits(fa.weight, fb.weight) && same_bits(fa.bias, fb.bias));
}

// SqueezeNet's head: a ReLU at each place, then the mean. It gives what the least squares gave.
TEST(RidgeSolver, AHeadOverAMapIsSolvedOnMeans) {
  auto model = model_of("squeezenet1_1");
  const Features f = features_of({24, 3, 3, 512}, 4);
  TensorMap before = snapshot(*model);
  const RidgeResult result = solve_ridge(*model, f, 0.5);
  EXPECT_EQ(changed(before, snapshot(*model)), (std::vector<std::string>{"classifier.1.bias", "classifier.1.weight"}));
  NoGrad off;
  const Tensor logits = model->head(f.values);
  const Tensor places = model->head_layer()(f.values);
  for (int64_t i = 0; i < places.size(); ++i) EXPECT_GE(places.data()[i], -1e-3f);
  auto vector_model = model_of("resnet18");  // whose head has 512 inputs, too
  Features means{global_avg_pool(f.values), f.labels};
  auto& layer = dynamic_cast<Linear&>(vector_model->head_layer());
  EXPECT_NEAR(solve_ridge(*vector_model, means, 0.5).error, result.error, 1e-6);
  const Tensor want = layer(means.values);
  for (int64_t i = 0; i < 24; ++i)
    for (int64_t k = 1; k < kClasses; ++k)
      EXPECT_NEAR(logits.data()[i * kClasses + k] - logits.data()[i * kClasses],
                  want.data()[i * kClasses + k] - want.data()[i * kClasses], 1e-3);
}

TEST(RidgeSolver, WhatCannotBeIsSaidInOneLine) {
  auto model = model_of("resnet10_small");
  TensorMap before = snapshot(*model);
  Features f = features_of({30, 128}, 5);
  Features broken{f.values.clone(), f.labels};
  broken.values.mutable_data()[128 * 6 + 9] = NAN;
  EXPECT_NE(error_of([&] { solve_ridge(*model, broken); }, Fault::data).find("image 7 of 30"), std::string::npos);
  Features constant{Tensor::zeros({30, 128}), f.labels};
  EXPECT_NE(error_of([&] { solve_ridge(*model, constant); }, Fault::data).find("the same"), std::string::npos);
  Features one{f.values.rows(0, 1), f.labels.rows(0, 1)};
  error_of([&] { solve_ridge(*model, one); }, Fault::data);
  Features twice{f.values.clone(), f.labels};
  for (int64_t i = 0; i < 30; ++i) twice.values.mutable_data()[i * 128 + 5] = twice.values.data()[i * 128 + 4];
  EXPECT_NE(error_of([&] { solve_ridge(*model, twice, 1e-300); }, Fault::data).find("--weight-decay"),
            std::string::npos);
  EXPECT_TRUE(changed(before, snapshot(*model)).empty());
  model->replace_head(kClasses, 1, HeadForm::parse("cosine"));
  EXPECT_NE(error_of([&] { solve_ridge(*model, f); }, Fault::usage).find("--head linear"), std::string::npos);
}

}  // namespace
}  // namespace graft
