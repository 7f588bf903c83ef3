#include "models/head_solver.h"

#include <algorithm>

#include "models/scaled_head.h"

namespace graft {
namespace {

constexpr int64_t kFloatsAtATime = 1 << 23;

class HeadObjective {
 public:
  HeadObjective(Classifier& model, LinearHead& head, const Features& features,
                const HeadSolverOptions& options)
      : model_(model), head_(head), features_(features), options_(options),
        rows_(std::max<int64_t>(1, kFloatsAtATime * features.labels.size() / features.values.size())),
        total_(weight_of(features.labels)) {}

  double operator()(std::span<const double> x, std::span<double> g) {
    write_head(head_, x);
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
    if (!options_.loss.class_weights.defined()) return double(labels.size());
    const Tensor weights = options_.loss.class_weights.to(Device::cpu);
    double sum = 0;
    for (int64_t i = 0; i < labels.size(); ++i) sum += weights.data()[labels.data<int32_t>()[i]];
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
  LinearHead& head_;
  const Features& features_;
  const HeadSolverOptions& options_;
  int64_t rows_;
  double total_;
};

}  // namespace

LbfgsResult solve_head(Classifier& model, Features& features, const HeadSolverOptions& options,
                       const std::function<bool()>& stop) {
  model.eval();
  LinearHead head = linear_head(model);
  GRAFT_CHECK(features.values.dim(-1) == head.c(), "head solver: features {} for a head of {} inputs",
              features.values.shape(), head.c());
  const LinearHead before{head.weight.clone(), head.bias.defined() ? head.bias.clone() : Tensor()};
  Scaling scaling = standardize(features.values, head.bias.defined());
  std::vector<double> x = to_scaled(head, scaling);
  LbfgsResult result = minimize(x, HeadObjective(model, head, features, options), options.lbfgs, stop);
  head.weight.set_grad({});
  if (head.bias.defined()) head.bias.set_grad({});
  if (result.solved()) return from_scaled(head, std::move(x), scaling), result;
  head.weight.copy_from(before.weight);
  if (head.bias.defined()) head.bias.copy_from(before.bias);
  return result;
}

}  // namespace graft
