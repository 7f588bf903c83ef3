// Optimiser steps on CUDA against PyTorch's formulas in double, over several steps; the gradient's
// norm and clipping; steps that must change nothing.
#include "kernels/optimizer.h"

#include <limits>

#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

template <class G>
struct CudaOptimizer : testing::Test {};
TYPED_TEST_SUITE(CudaOptimizer, Floats);

template <class T>
Array<T> there(const T& value) {
  return Array<T>(std::vector<T>{value});
}

// body(n, offset): also parts of an arena that begin anywhere, where 16-bit arrays are aligned
// otherwise than 32-bit ones or not.
template <class Body>
void at_every_size(const Body& body) {
  for (int64_t n : {0, 1, 3, 4, 5, 1023, 1024, 1025, 2500})
    for (size_t offset : {0, 1, 2, 4, 5}) {
      SCOPED_TRACE(std::to_string(n) + " parameters from " + std::to_string(offset));
      body(n, offset);
      if (testing::Test::HasFatalFailure()) return;
    }
}

TYPED_TEST(CudaOptimizer, Sgd) {
  using G = TypeParam;
  struct Variant {
    float momentum, decay, dampening;
    bool nesterov;
  };
  on_device([] {
    for (Variant variant :
         {Variant{0, 0.1f, 0, false}, {0.9f, 0.1f, 0, false}, {0.8f, 0, 0.25f, false},
          {0.9f, 0.01f, 0, true}})
      at_every_size([&](int64_t n, size_t offset) {
        const auto start = reals<float>(size_t(n), 1, -2, 2);
        std::vector<double> p = doubles(start), m(size_t(n), 0.0);
        Array<float> param(start, offset), momentum(size_t(n), offset);  // NaN before the first
        Array<bf16> copied(size_t(n), offset);
        for (int step = 0; step < 3; ++step) {
          const auto g = reals<G>(size_t(n), uint32_t(step + 2), -1, 1);
          const double gain = step == 0 ? 1 : 1 - double(variant.dampening);
          for (size_t i = 0; i < size_t(n); ++i) {
            const double d = double(float(g[i])) + double(variant.decay) * p[i];
            m[i] = double(variant.momentum) * m[i] + gain * d;
            const double change =
                variant.nesterov ? d + double(variant.momentum) * m[i] : m[i];
            p[i] -= 0.1 * (variant.momentum == 0 ? d : change);
          }
          Array<G> grad(g, offset);
          sgd(there(SgdStep{.lr = 0.1f,
                            .momentum = variant.momentum,
                            .weight_decay = variant.decay,
                            .dampening = variant.dampening,
                            .nesterov = variant.nesterov,
                            .first_step = step == 0})
                  .data(),
              n, grad.data(), nullptr, param.data(),
              variant.momentum == 0 ? nullptr : momentum.data(), copied.data(), {});
          expect_values(param, p, 1e-6);
          expect_values(copied, doubles(param.host()));
          if (variant.momentum != 0) expect_values(momentum, m, 1e-6);
        }
      });
  });
}

TYPED_TEST(CudaOptimizer, AdamW) {
  using G = TypeParam;
  on_device([] {
    at_every_size([&](int64_t n, size_t offset) {
      const auto start = reals<float>(size_t(n), 1, -2, 2);
      std::vector<double> p = doubles(start), m(start.size()), v(start.size());
      Array<float> param(start, offset), first(std::vector<float>(start.size()), offset),
          second(std::vector<float>(start.size()), offset);
      Array<f16> copied(size_t(n), offset);
      for (int step = 1; step <= 3; ++step) {
        const auto g = reals<G>(size_t(n), uint32_t(step + 2), -1, 1);
        for (size_t i = 0; i < size_t(n); ++i) {
          const double d = double(float(g[i]));
          p[i] *= 1 - 0.01 * 0.1;
          m[i] = 0.9 * m[i] + 0.1 * d;
          v[i] = 0.99 * v[i] + 0.01 * d * d;
          p[i] -= 0.01 / (1 - std::pow(0.9, step)) * m[i] /
                  (std::sqrt(v[i] / (1 - std::pow(0.99, step))) + 1e-3);
        }
        Array<G> grad(g, offset);
        adamw(there(factors_of({.lr = 0.01f,
                                .beta1 = 0.9f,
                                .beta2 = 0.99f,
                                .eps = 1e-3f,
                                .weight_decay = 0.1f,
                                .step = step}))
                  .data(),
              n, grad.data(), nullptr, param.data(), first.data(), second.data(),
              step == 1 ? nullptr : copied.data(), {});
        expect_values(param, p, 2e-6);
        if (step > 1) expect_values(copied, doubles(param.host()));
        expect_values(first, m, 2e-6);
        expect_values(second, v, 2e-6);
      }
    });
  });
}

TYPED_TEST(CudaOptimizer, ScaleAndClip) {
  using G = TypeParam;
  on_device([] {
    const int64_t n = 5000;
    const auto g = integers<G>(size_t(n), 1);
    double squares = 0;
    for (G v : g) squares += double(float(v)) * double(float(v));
    const double norm = std::sqrt(squares) / 8;
    for (float clip : {0.0f, 1.0f, 1e6f}) {
      Array<G> grad(g);
      Array<float> result(2);
      auto* scale = reinterpret_cast<GradientScale*>(result.data());
      gradient_scale(n, grad.data(), there(GradientLimits{0.125f, clip}).data(), scale, {});
      const double factor = clip == 1.0f ? 1 / (norm + 1e-6) / 8 : 0.125;
      expect_values(result, {factor, norm}, 1e-6);
      const auto start = reals<float>(size_t(n), 2, -2, 2);
      std::vector<double> p = doubles(start);
      for (size_t i = 0; i < size_t(n); ++i) p[i] -= factor * double(float(g[i]));
      Array<float> param(start);
      sgd(there(SgdStep{.lr = 1}).data(), n, grad.data(), scale, param.data(), nullptr,
          static_cast<bf16*>(nullptr), {});
      expect_values(param, p, 1e-6);
    }
  });
}

TYPED_TEST(CudaOptimizer, GradientsThatAreNotFiniteChangeNothing) {
  using G = TypeParam;
  on_device([] {
    for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
      auto g = integers<G>(20, 1);
      g[7] = G(bad);
      const auto start = reals<float>(20, 2, -2, 2);
      Array<G> grad(g);
      Array<float> result(2), param(start), m(start), v(start);
      auto* scale = reinterpret_cast<GradientScale*>(result.data());
      gradient_scale(20, grad.data(), there(GradientLimits{1, 1}).data(), scale, {});
      EXPECT_EQ(result.host()[0], 0);
      EXPECT_FALSE(std::isfinite(result.host()[1]));
      Array<bf16> copied(20);
      sgd(there(SgdStep{.lr = 1, .momentum = 0.9f}).data(), 20, grad.data(), scale, param.data(),
          m.data(), copied.data(), {});
      adamw(there(factors_of({.lr = 1})).data(), 20, grad.data(), scale, param.data(), m.data(),
            v.data(), copied.data(), {});
      EXPECT_EQ(param.host(), start);
      EXPECT_EQ(m.host(), start);
      EXPECT_EQ(v.host(), start);
    }
  });
}

}  // namespace
}  // namespace graft::cuda
