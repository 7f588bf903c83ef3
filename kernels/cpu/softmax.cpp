// Softmax and cross-entropy row by row: the largest, the sum of exponentials, then results, while
// the row is in the first cache. Threads take rows. Measured: loss and gradient of 1000 classes
// 0.30 ms (bench/RESULTS.md, Operations).
#include "kernels/softmax.h"

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/elementwise.h"
#include "kernels/parallel.h"

namespace graft::cpu {
namespace {

int64_t row_grain(int64_t classes) { return 4096 / std::max<int64_t>(classes, 1) + 1; }

float largest(int64_t n, const float* x) {
  float top = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : top)
  for (int64_t j = 0; j < n; ++j) top = x[j] > top ? x[j] : top;
  return top;
}

// e^(x - top) for a sum; zero where the exponential has saturated.
float exp_below(float x, float top) {
  float d = x - top;
  return d < -87.0f ? 0.0f : exp_f32(d);
}

template <class Body>
void each_row(int64_t rows, int64_t classes, const Body& body) {
  parallel_for(rows, row_grain(classes), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row, row * classes);
  });
}

// -sum_j t[j] log softmax(x)[j] of one row; d = softmax(x) sum(t) - t, not yet divided.
double loss_of_row(const CrossEntropyProblem& p, int32_t label, const float* x, float* d) {
  const int64_t n = p.classes;
  const float top = largest(n, x);
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t j = 0; j < n; ++j) total += exp_below(x[j], top);
  const double log_total = std::log(double(total));
  auto minus_log = [&](int64_t j) { return log_total + double(top) - double(x[j]); };

  const float spread = p.smoothing / float(n);
  const float hard = (1.0f - p.smoothing) * (p.weights ? p.weights[label] : 1.0f);
  double loss = double(hard) * minus_log(label), mass = double(hard);
  for (int64_t j = 0; spread != 0 && j < n; ++j) {
    double t = double(spread) * double(p.weights ? p.weights[j] : 1.0f);
    loss += t * minus_log(j);
    mass += t;
  }
  if (d) {
    const float factor = float(mass) / total;
    const float* weights = p.weights;
#pragma omp simd
    for (int64_t j = 0; j < n; ++j)
      d[j] = exp_below(x[j], top) * factor - spread * (weights ? weights[j] : 1.0f);
    d[label] -= hard;
  }
  return loss;
}

}  // namespace

void softmax(int64_t rows, int64_t classes, const float* x, float* y) {
  each_row(rows, classes, [=](int64_t, int64_t at) {
    const float* from = x + at;
    float* to = y + at;
    const float top = largest(classes, from);
    float total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t j = 0; j < classes; ++j) {
      float e = exp_below(from[j], top);
      to[j] = e;
      total += e;
    }
    const float factor = 1.0f / total;
#pragma omp simd
    for (int64_t j = 0; j < classes; ++j) to[j] *= factor;
  });
}

void softmax_backward(int64_t rows, int64_t classes, const float* y, const float* dy, float* dx) {
  each_row(rows, classes, [=](int64_t, int64_t at) {
    float inner = 0;
#pragma omp simd reduction(+ : inner)
    for (int64_t j = at; j < at + classes; ++j) inner += dy[j] * y[j];
#pragma omp simd
    for (int64_t j = at; j < at + classes; ++j) dx[j] = y[j] * (dy[j] - inner);
  });
}

float cross_entropy(const CrossEntropyProblem& p, const float* logits, float* dlogits) {
  double weight = 0;
  for (int64_t i = 0; i < p.rows; ++i) weight += p.weights ? double(p.weights[p.labels[i]]) : 1.0;
  const float factor = float(1.0 / weight);
  std::vector<double> losses(size_t(p.rows));
  each_row(p.rows, p.classes, [&](int64_t row, int64_t at) {
    float* d = dlogits ? dlogits + at : nullptr;
    losses[size_t(row)] = loss_of_row(p, p.labels[row], logits + at, d);
    if (!d) return;
#pragma omp simd
    for (int64_t j = 0; j < p.classes; ++j) d[j] *= factor;
  });
  double total = 0;
  for (double loss : losses) total += loss;
  return float(total / weight);
}

}  // namespace graft::cpu
