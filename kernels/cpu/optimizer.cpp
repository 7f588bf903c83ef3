// Optimiser steps, one loop over parameters, gradients and moments, which the compiler vectorises.
// Measured on two cores, all of ResNet-50: SGD with momentum 53 GB/s, AdamW 25 (bench/RESULTS.md,
// Operations).
#include "kernels/optimizer.h"

#include <cmath>

#include "kernels/parallel.h"

namespace graft::cpu {
namespace {

constexpr int64_t kGrain = 16384;

template <class F>
void each(int64_t n, const F& f) {
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}

template <bool kNesterov>
void sgd_with_momentum(const SgdStep& s, int64_t n, const float* grad, float grad_scale,
                       float* param, float* momentum) {
  const float gain = s.first_step ? 1.0f : 1.0f - s.dampening;
  const float memory = s.momentum, decay = s.weight_decay, lr = s.lr;
  if (s.first_step) {  // m may be uninitialised, even NaN
    each(n, [=](int64_t i) { momentum[i] = 0.0f; });
  }
  each(n, [=](int64_t i) {
    float g = grad[i] * grad_scale + decay * param[i];
    float m = memory * momentum[i] + gain * g;
    momentum[i] = m;
    param[i] -= lr * (kNesterov ? g + memory * m : m);
  });
}

}  // namespace

void sgd(const SgdStep& s, int64_t n, const float* grad, float grad_scale, float* param,
         float* momentum) {
  const float decay = s.weight_decay, lr = s.lr;
  if (s.momentum == 0)
    each(n, [=](int64_t i) { param[i] -= lr * (grad[i] * grad_scale + decay * param[i]); });
  else if (s.nesterov)
    sgd_with_momentum<true>(s, n, grad, grad_scale, param, momentum);
  else
    sgd_with_momentum<false>(s, n, grad, grad_scale, param, momentum);
}

void adamw(const AdamWStep& s, int64_t n, const float* grad, float grad_scale, float* param,
           float* m, float* v) {
  const double correction1 = 1.0 - std::pow(double(s.beta1), double(s.step));
  const double correction2 = 1.0 - std::pow(double(s.beta2), double(s.step));
  const float rate = float(double(s.lr) / correction1);
  const float root = float(1.0 / std::sqrt(correction2));
  const float keep = float(1.0 - double(s.lr) * double(s.weight_decay));
  const float b1 = s.beta1, b2 = s.beta2, c1 = 1.0f - b1, c2 = 1.0f - b2, eps = s.eps;
  each(n, [=](int64_t i) {
    float g = grad[i] * grad_scale;
    float mi = b1 * m[i] + c1 * g;
    float vi = b2 * v[i] + c2 * g * g;
    m[i] = mi;
    v[i] = vi;
    param[i] = param[i] * keep - rate * mi / (__builtin_sqrtf(vi) * root + eps);
  });
}

}  // namespace graft::cpu
