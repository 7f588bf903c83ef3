// What the solvers of heads share: the layer that knows the classes where it is linear in the
// features, and those at mean 0 and variance 1.
#pragma once
#include <span>
#include <vector>

#include "models/classifier.h"

namespace graft {

struct LinearHead {  // handles on the tensors of the layer
  Tensor weight;     // (K,...,C), one place: K rows of C
  Tensor bias;       // (K) or undefined
  int64_t k() const { return weight.dim(0); }
  int64_t c() const { return weight.dim(-1); }
};

// Throws Fault::usage when that layer does not learn, is of another form (models/head_form.h), or
// looks at more than one place of the features: a filter above 1x1.
LinearHead linear_head(Classifier& model);

struct Scaling {  // per channel: x -> (x - mean) / deviation; infinite for one that hardly varies
  std::vector<double> mean, deviation;
};

// Brings x (...,C) there, in place; without `center` the means are 0. A channel that hardly varies
// teaches nothing: it becomes 0.
Scaling standardize(Tensor& x, bool center);

// W and b as one vector, for standardised features: W_kc deviation_c and b_k + sum_c W_kc mean_c;
// and back into the head.
std::vector<double> to_scaled(const LinearHead& head, const Scaling& scaling);
void from_scaled(LinearHead& head, std::vector<double> x, const Scaling& scaling);

void write_head(LinearHead& head, std::span<const double> x);  // K C weights, then K biases

}  // namespace graft
