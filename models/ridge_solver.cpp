#include "models/ridge_solver.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/ops.h"
#include "models/ridge_path.h"
#include "models/scaled_head.h"

namespace graft {
namespace {

void require_finite(const Tensor& features) {
  const float* x = features.data();
  const int64_t each = features.size() / features.dim(0);
  for (int64_t i = 0; i < features.size(); ++i)
    if (!std::isfinite(x[i]))
      fail(Fault::data,
           "head solver: a feature of image {} of {} is {}; the weights are broken, or "
           "their input is",
           i / each + 1, features.dim(0), x[i]);
}

// (N,...,C) -> (N,C), the mean over a map: a copy.
Tensor means_over_maps(const Tensor& features) {
  if (features.rank() != 4) return features.clone();
  NoGrad off;
  return global_avg_pool(features);
}

std::vector<double> one_hot(const Tensor& labels, int64_t classes) {
  std::vector<double> y(size_t(labels.size() * classes), 0.0);
  for (int64_t i = 0; i < labels.size(); ++i)
    y[size_t(i * classes + labels.data<int32_t>()[i])] = 1;
  return y;
}

struct Judged {
  double accuracy, error;
};

Judged judge(const std::vector<double>& logits, const Tensor& labels, size_t k) {
  Judged j{0, 0};
  const size_t n = size_t(labels.size());
  for (size_t i = 0; i < n; ++i) {
    const double* row = &logits[i * k];
    const size_t label = size_t(labels.data<int32_t>()[i]);
    j.accuracy += size_t(std::max_element(row, row + k) - row) == label;
    for (size_t c = 0; c < k; ++c) j.error += std::pow(row[c] - double(c == label), 2) / double(k);
  }
  return {j.accuracy / double(n), j.error / double(n)};
}

// d/ds of the mean cross-entropy of softmax(s logits).
double slope(const std::vector<double>& logits, const Tensor& labels, size_t k, double s) {
  double sum = 0;
  for (size_t i = 0; i < size_t(labels.size()); ++i) {
    const double* row = &logits[i * k];
    const double largest = *std::max_element(row, row + k);
    double weights = 0, mean = 0;
    for (size_t c = 0; c < k; ++c) {
      const double w = std::exp(s * (row[c] - largest));
      weights += w, mean += w * row[c];
    }
    sum += mean / weights - row[size_t(labels.data<int32_t>()[i])];
  }
  return sum;
}

// The cross-entropy is convex in the factor: where its slope is 0, by bisection of the logarithm.
double best_factor(const std::vector<double>& logits, const Tensor& labels, size_t k) {
  double low = std::log(0.01), high = std::log(100.0);
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    (slope(logits, labels, k, std::exp(middle)) < 0 ? low : high) = middle;
  }
  return std::exp(low);
}

std::vector<double> grid() {
  std::vector<double> penalties;
  for (int decade = -4; decade <= 3; ++decade)
    for (double part : {1.0, 3.0})
      if (decade < 3 || part == 1) penalties.push_back(part * std::pow(10.0, decade));
  return penalties;
}

// The penalty with the least left-out error; the larger one where two are alike.
double choose(const RidgePath& path, const Tensor& labels) {
  double best = 0, least = INFINITY;
  for (double l2 : grid()) {
    auto fit = path.fit(l2 * double(path.n()), false);
    const double error = fit ? judge(fit->left_out, labels, size_t(path.k())).error : INFINITY;
    if (error <= least && fit) best = l2, least = error;
  }
  return best;
}

// So that a ReLU on every place of the map leaves the mean over them linear.
void raise_biases(Classifier& model, LinearHead& head, const Tensor& map) {
  if (map.rank() != 4 || !head.bias.defined()) return;
  NoGrad off;
  float least = 0;
  for (int64_t i = 0; i < map.dim(0); ++i) {
    const Tensor y = model.head_layer()(map.rows(i, i + 1));
    least = std::min(least, *std::min_element(y.data(), y.data() + y.size()));
  }
  for (int64_t k = 0; k < head.k(); ++k) head.bias.mutable_data()[k] -= least;
}

double loss_of(Classifier& model, const Features& f) {
  NoGrad off;
  constexpr int64_t kRows = 256;
  double sum = 0;
  const int64_t n = f.labels.size();
  for (int64_t first = 0; first < n; first += kRows) {
    const int64_t end = std::min(first + kRows, n);
    const Tensor logits = model.head(f.values.rows(first, end));
    sum += double(cross_entropy(logits, f.labels.rows(first, end)).item()) * double(end - first);
  }
  return sum / double(n);
}

}  // namespace

RidgeResult solve_ridge(Classifier& model, const Features& features, double l2) {
  model.eval();
  LinearHead head = linear_head(model);
  GRAFT_CHECK(features.values.dim(-1) == head.c(),
              "head solver: features {} for a head of {} inputs", features.values.shape(),
              head.c());
  require_finite(features.values);
  const int64_t n = features.labels.size();
  if (n < 2) fail(Fault::data, "head solver: ridge judges each image by the others; there is one");
  Tensor x = means_over_maps(features.values);
  const Scaling scaling = standardize(x, head.bias.defined());
  if (std::ranges::all_of(scaling.deviation, [](double d) { return std::isinf(d); }))
    fail(Fault::data, "head solver: the features are the same for all {} images", n);
  const RidgePath path({x.data(), x.data() + x.size()}, n, one_hot(features.labels, head.k()),
                       head.bias.defined());
  RidgeResult result{.l2 = l2 > 0 ? l2 : choose(path, features.labels)};
  auto fit = path.fit(result.l2 * double(n), true);
  if (!fit)
    fail(Fault::data,
         "head solver: with a penalty of {} the system is singular; raise --weight-decay",
         result.l2);
  const size_t k = size_t(head.k());
  const Judged judged = judge(fit->left_out, features.labels, k);
  result.accuracy = judged.accuracy, result.error = judged.error;
  result.factor = best_factor(fit->left_out, features.labels, k);
  std::vector<double> solution = std::move(fit->weights);
  if (head.bias.defined())
    solution.insert(solution.end(), fit->constant.begin(), fit->constant.end());
  for (double& value : solution) value *= result.factor;
  from_scaled(head, std::move(solution), scaling);
  raise_biases(model, head, features.values);
  result.loss = loss_of(model, features);
  return result;
}

}  // namespace graft
