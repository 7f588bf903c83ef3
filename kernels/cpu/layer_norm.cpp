// Layer normalisation row by row: mean, then variance around it, then the result, three times over
// a row that is in the first cache by then. Threads take rows. Its speed has not been measured
// apart.
#include "kernels/layer_norm.h"

#include <cmath>
#include <vector>

#include "kernels/parallel.h"
#include "kernels/reduce.h"

namespace graft::cpu {
namespace {

constexpr int64_t kGrain = 16384;  // elements per thread at least

template <class Body>
void each_row(const LayerNormProblem& p, const Body& body) {
  parallel_for(p.rows, kGrain / std::max<int64_t>(p.channels, 1) + 1,
               [&](int64_t begin, int64_t end) {
                 for (int64_t row = begin; row < end; ++row) body(row, row * p.channels);
               });
}

struct Moments {
  float mean, rstd;
};

// In two passes: the second one's terms are small whatever the mean.
Moments moments(const LayerNormProblem& p, const float* x) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < p.channels; ++j) sum += x[j];
  const float mean = sum / float(p.channels);
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (int64_t j = 0; j < p.channels; ++j) squares += (x[j] - mean) * (x[j] - mean);
  return {mean, 1.0f / std::sqrt(squares / float(p.channels) + p.eps)};
}

}  // namespace

void layer_norm(const LayerNormProblem& p, const float* x, const float* gamma, const float* beta,
                float* y, float* mean, float* rstd) {
  each_row(p, [=](int64_t row, int64_t at) {
    const float* from = x + at;
    float* to = y + at;
    const Moments m = moments(p, from);
    if (mean) mean[row] = m.mean, rstd[row] = m.rstd;
#pragma omp simd
    for (int64_t j = 0; j < p.channels; ++j)
      to[j] = (from[j] - m.mean) * m.rstd * gamma[j] + beta[j];
  });
}

// With xhat = (x - mean) rstd and g = dy gamma:
//   dx = rstd (g - mean(g) - xhat mean(g xhat)),  dgamma = sum(dy xhat),  dbeta = sum(dy)
void layer_norm_backward(const LayerNormProblem& p, const float* x, const float* gamma,
                         const float* mean, const float* rstd, const float* dy,
                         const LayerNormGradients& out) {
  if (out.dx)
    each_row(p, [=](int64_t row, int64_t at) {
      const float *from = x + at, *d = dy + at;
      const float m = mean[row], r = rstd[row];
      float sum = 0, slope = 0;
#pragma omp simd reduction(+ : sum, slope)
      for (int64_t j = 0; j < p.channels; ++j) {
        const float g = d[j] * gamma[j];
        sum += g;
        slope += g * ((from[j] - m) * r);
      }
      sum /= float(p.channels), slope /= float(p.channels);
      float* to = out.dx + at;
#pragma omp simd
      for (int64_t j = 0; j < p.channels; ++j)
        to[j] = r * (d[j] * gamma[j] - sum - (from[j] - m) * r * slope);
    });
  if (out.dgamma) {
    std::vector<float> normalised(size_t(p.rows * p.channels));
    float* to = normalised.data();
    each_row(p, [=](int64_t row, int64_t at) {
      for (int64_t j = 0; j < p.channels; ++j) to[at + j] = (x[at + j] - mean[row]) * rstd[row];
    });
    dot_rows(p.rows, p.channels, dy, to, out.dgamma);
  }
  if (out.dbeta) sum_rows(p.rows, p.channels, dy, out.dbeta);
}

}  // namespace graft::cpu
