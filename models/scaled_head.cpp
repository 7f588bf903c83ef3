#include "models/scaled_head.h"

#include <algorithm>
#include <cmath>

#include "layers/conv2d.h"
#include "layers/linear.h"

namespace graft {

LinearHead linear_head(Classifier& model) {
  Module& layer = model.head_layer();
  if (model.head_form() != HeadForm{})
    fail(Fault::usage,
         "head solver: {} is of the form {}, and only one matrix can be solved for; give "
         "--head linear",
         model.head_path(), model.head_form().text());
  LinearHead head;
  if (auto* conv = dynamic_cast<Conv2d*>(&layer))
    head = {conv->weight, conv->bias};
  else
    head = {dynamic_cast<Linear&>(layer).weight, dynamic_cast<Linear&>(layer).bias};
  bool learns = head.weight.requires_grad() && (!head.bias.defined() || head.bias.requires_grad());
  if (!learns) fail(Fault::usage, "head solver: {} does not learn", model.head_path());
  if (head.weight.size() != head.k() * head.c())
    fail(Fault::usage, "head solver: {} is no 1x1 filter: {}", model.head_path(), layer.describe());
  return head;
}

// Two passes in double.
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

std::vector<double> to_scaled(const LinearHead& head, const Scaling& s) {
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

void write_head(LinearHead& head, std::span<const double> x) {
  auto put = [&](Tensor& t, size_t from) {
    std::transform(&x[from], &x[from] + t.size(), t.mutable_data(),
                   [](double v) { return float(v); });
  };
  put(head.weight, 0);
  if (head.bias.defined()) put(head.bias, size_t(head.weight.size()));
}

void from_scaled(LinearHead& head, std::vector<double> x, const Scaling& s) {
  const size_t c = size_t(head.c()), weights = size_t(head.weight.size());
  for (size_t i = 0; i < weights; ++i) {
    x[i] /= s.deviation[i % c];
    if (head.bias.defined()) x[weights + i / c] -= x[i] * s.mean[i % c];
  }
  write_head(head, x);
}

}  // namespace graft
