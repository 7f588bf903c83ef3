// Optimiser steps against PyTorch's formulas in double, over several steps.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/optimizer.h"

namespace graft {
namespace {

constexpr int kSize = 1003, kSteps = 5;

float gradient(int step, int i) { return std::sin(float(i * 7 + step * 13)) * 0.5f; }
float start(int i) { return std::cos(float(i)) * 2; }

void compare_sgd(SgdStep s, float grad_scale = 1) {
  std::vector<float> p(kSize), g(kSize), m(kSize, std::numeric_limits<float>::quiet_NaN());
  std::vector<double> exact(kSize), buffer(kSize, 0.0);
  for (int i = 0; i < kSize; ++i) exact[i] = p[i] = start(i);
  for (int step = 0; step < kSteps; ++step) {
    for (int i = 0; i < kSize; ++i) g[i] = gradient(step, i);
    s.first_step = step == 0;
    cpu::sgd(s, kSize, g.data(), grad_scale, p.data(), s.momentum ? m.data() : nullptr);
    for (int i = 0; i < kSize; ++i) {
      double d = double(g[i]) * grad_scale + double(s.weight_decay) * exact[i];
      if (s.momentum) {
        buffer[i] = step == 0 ? d : s.momentum * buffer[i] + (1 - double(s.dampening)) * d;
        d = s.nesterov ? d + s.momentum * buffer[i] : buffer[i];
      }
      exact[i] -= s.lr * d;
    }
  }
  for (int i = 0; i < kSize; ++i) ASSERT_NEAR(p[i], exact[i], 2e-6) << i;
}

TEST(Optimizer, Sgd) { compare_sgd({.lr = 0.1f}); }
TEST(Optimizer, SgdWeightDecay) { compare_sgd({.lr = 0.1f, .weight_decay = 0.01f}); }
TEST(Optimizer, SgdMomentum) { compare_sgd({.lr = 0.1f, .momentum = 0.9f, .weight_decay = 1e-3f}); }
TEST(Optimizer, SgdDampening) { compare_sgd({.lr = 0.1f, .momentum = 0.9f, .dampening = 0.3f}); }
TEST(Optimizer, SgdGradScale) { compare_sgd({.lr = 0.1f, .momentum = 0.5f}, 0.25f); }
TEST(Optimizer, SgdNesterov) {
  compare_sgd({.lr = 0.1f, .momentum = 0.9f, .weight_decay = 1e-3f, .nesterov = true});
}

TEST(Optimizer, AdamW) {
  AdamWStep s{.lr = 0.01f, .weight_decay = 0.1f};
  std::vector<float> p(kSize), g(kSize), m(kSize, 0.0f), v(kSize, 0.0f);
  std::vector<double> exact(kSize), dm(kSize, 0.0), dv(kSize, 0.0);
  for (int i = 0; i < kSize; ++i) exact[i] = p[i] = start(i);
  for (s.step = 1; s.step <= kSteps; ++s.step) {
    for (int i = 0; i < kSize; ++i) g[i] = gradient(int(s.step), i);
    cpu::adamw(s, kSize, g.data(), 0.5f, p.data(), m.data(), v.data());
    for (int i = 0; i < kSize; ++i) {
      double d = double(g[i]) * 0.5;
      exact[i] *= 1 - double(s.lr) * s.weight_decay;
      dm[i] = s.beta1 * dm[i] + (1 - double(s.beta1)) * d;
      dv[i] = s.beta2 * dv[i] + (1 - double(s.beta2)) * d * d;
      double mhat = dm[i] / (1 - std::pow(double(s.beta1), double(s.step)));
      double vhat = dv[i] / (1 - std::pow(double(s.beta2), double(s.step)));
      exact[i] -= s.lr * mhat / (std::sqrt(vhat) + double(s.eps));
    }
  }
  for (int i = 0; i < kSize; ++i) ASSERT_NEAR(p[i], exact[i], 2e-6) << i;
}

}  // namespace
}  // namespace graft
