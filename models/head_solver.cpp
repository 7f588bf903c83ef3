#include "models/head_solver.h"

#include <algorithm>
#include <cmath>

#include "layers/conv2d.h"
#include "layers/linear.h"

namespace graft {
namespace {

struct Head {  // of the layer that knows the classes; handles on its own tensors
  Tensor weight;  // (K,...,C), one place: K rows of C
  Tensor bias;    // (K) or undefined
  int64_t k() const { return weight.dim(0); }
  int64_t c() const { return weight.dim(-1); }
};

Head head_of(Classifier& model) {
  Module& layer = model.head_layer();
  Head head;
  if (auto* conv = dynamic_cast<Conv2d*>(&layer)) head = {conv->weight, conv->bias};
  else head = {dynamic_cast<Linear&>(layer).weight, dynamic_cast<Linear&>(layer).bias};
  bool learns = head.weight.requires_grad() && (!head.bias.defined() || head.bias.requires_grad());
  if (!learns) fail(Fault::usage, "head solver: {} does not learn", model.head_path());
  if (head.weight.size() != head.k() * head.c())
    fail(Fault::usage, "head solver: {} is no 1x1 filter: {}", model.head_path(), layer.describe());
  return head;
}

struct Scaling {  // per channel: x -> (x - mean) / deviation
  std::vector<double> mean, deviation;
};

// Two passes in double. A channel that hardly varies teaches nothing: it becomes 0.
Scaling standardize(Tensor& x, bool center) {
  const int64_t c = x.dim(-1), rows = x.size() / c;
  float* values = x.mutable_data();
  Scaling s{std::vector<double>(size_t(c)), std::vector<double>(size_t(c))};
  auto sum = [&](std::vector<double>& into, auto term) {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < c; ++i) into[size_t(i)] += term(values[r * c + i], size_t(i));
    for (double& value : into) value /= double(rows);
  };
  if (center) sum(s.mean, [](double v, size_t) { return v; });
  sum(s.deviation, [&](double v, size_t i) { return (v - s.mean[i]) * (v - s.mean[i]); });
  for (size_t i = 0; i < s.mean.size(); ++i) {
    s.deviation[i] = std::sqrt(s.deviation[i]);
    bool varies = s.deviation[i] > 1e-6 * std::max(1e-3, std::abs(s.mean[i]));
    if (!varies) s.deviation[i] = INFINITY;
  }
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < c; ++i)
      values[r * c + i] = float((values[r * c + i] - s.mean[size_t(i)]) / s.deviation[size_t(i)]);
  return s;
}

// W and b as one vector, for standardised features: W_kc deviation_c and b_k + sum_c W_kc mean_c.
std::vector<double> to_scaled(const Head& head, const Scaling& s) {
  std::vector<double> x;
  const float* w = head.weight.data();
  for (int64_t i = 0; i < head.weight.size(); ++i) {
    double deviation = s.deviation[size_t(i % head.c())];
    x.push_back(std::isinf(deviation) ? 0 : w[i] * deviation);
  }
  for (int64_t k = 0; head.bias.defined() && k < head.k(); ++k) {
    double b = head.bias.data()[k];
    for (int64_t i = 0; i < head.c(); ++i) b += w[k * head.c() + i] * s.mean[size_t(i)];
    x.push_back(b);
  }
  return x;
}

void write(Head& head, std::span<const double> x) {
  auto put = [&](Tensor& t, size_t from) {
    std::transform(&x[from], &x[from] + t.size(), t.mutable_data(), [](double v) { return float(v); });
  };
  put(head.weight, 0);
  if (head.bias.defined()) put(head.bias, size_t(head.weight.size()));
}

void from_scaled(Head& head, std::vector<double> x, const Scaling& s) {
  const size_t c = size_t(head.c()), weights = size_t(head.weight.size());
  for (size_t i = 0; i < weights; ++i) {
    x[i] /= s.deviation[i % c];
    if (head.bias.defined()) x[weights + i / c] -= x[i] * s.mean[i % c];
  }
  write(head, x);
}

constexpr int64_t kFloatsAtATime = 1 << 23;

class HeadObjective {
 public:
  HeadObjective(Classifier& model, Head& head, const Features& features,
                const HeadSolverOptions& options)
      : model_(model), head_(head), features_(features), options_(options),
        rows_(std::max<int64_t>(1, kFloatsAtATime * features.labels.size() / features.values.size())),
        total_(weight_of(features.labels)) {}

  double operator()(std::span<const double> x, std::span<double> g) {
    write(head_, x);
    head_.weight.set_grad({});
    if (head_.bias.defined()) head_.bias.set_grad({});
    double value = 0;
    const int64_t n = features_.labels.size();
    for (int64_t first = 0; first < n; first += rows_) {
      int64_t end = std::min(first + rows_, n);
      Tensor labels = features_.labels.rows(first, end);
      double share = weight_of(labels) / total_;
      Tensor loss = cross_entropy(model_.head(features_.values.rows(first, end)), labels,
                                  options_.loss);
      value += double(loss.item()) * share;
      scale(loss, float(share)).backward();
    }
    read_gradient(g);
    for (size_t i = 0; i < size_t(head_.weight.size()); ++i) {
      value += options_.l2 / 2 * x[i] * x[i];
      g[i] += options_.l2 * x[i];
    }
    return value;
  }

 private:
  double weight_of(const Tensor& labels) const {  // what cross_entropy divides by
    const auto& weights = options_.loss.class_weights;
    if (weights.empty()) return double(labels.size());
    double sum = 0;
    for (int64_t i = 0; i < labels.size(); ++i) sum += weights[size_t(labels.data<int32_t>()[i])];
    return sum;
  }

  void read_gradient(std::span<double> g) const {
    auto copy = [&](const Tensor& t, size_t to) {
      const float* grad = t.grad().data();
      std::copy(grad, grad + t.size(), &g[to]);
    };
    copy(head_.weight, 0);
    if (head_.bias.defined()) copy(head_.bias, size_t(head_.weight.size()));
  }

  Classifier& model_;
  Head& head_;
  const Features& features_;
  const HeadSolverOptions& options_;
  int64_t rows_;
  double total_;
};

}  // namespace

LbfgsResult solve_head(Classifier& model, Features& features, const HeadSolverOptions& options,
                       const std::function<bool()>& stop) {
  model.eval();
  Head head = head_of(model);
  GRAFT_CHECK(features.values.dim(-1) == head.c(), "head solver: features {} for a head of {} inputs",
              features.values.shape(), head.c());
  const Head before{head.weight.clone(), head.bias.defined() ? head.bias.clone() : Tensor()};
  Scaling scaling = standardize(features.values, head.bias.defined());
  std::vector<double> x = to_scaled(head, scaling);
  LbfgsResult result = minimize(x, HeadObjective(model, head, features, options), options.lbfgs, stop);
  head.weight.set_grad({});
  if (head.bias.defined()) head.bias.set_grad({});
  bool solved = result.end == LbfgsResult::End::gradient || result.end == LbfgsResult::End::precision;
  if (solved) return from_scaled(head, std::move(x), scaling), result;
  head.weight.copy_from(before.weight);
  if (head.bias.defined()) head.bias.copy_from(before.bias);
  return result;
}

}  // namespace graft
