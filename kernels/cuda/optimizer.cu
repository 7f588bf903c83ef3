// One optimiser step over a flat range of parameters, in one pass, with the copy of the parameters
// that the next step's forward reads in 16 bits.
//
// A thread does four parameters. Bytes moved for each: SGD with momentum reads gradient, parameter,
// momentum and writes the last two and the copy: 20 with gradients and copy in bf16, AdamW 28; no
// byte twice, which is the limit (25.6 M parameters: 0.51 GB, 119 us at 4.3 TB/s).
// Not yet run on a GPU.
#include "kernels/optimizer.h"

#include <cmath>

#include "kernels/cuda/flat_sum.cuh"

namespace graft::cuda {
namespace {

constexpr int kParameters = 4;  // of a thread

struct WriteScale {
  const GradientLimits* limits;  // one
  GradientScale* out;            // one

  __device__ void operator()(double squares) const {
    const double inverse = double(limits->inverse_loss_scale), most = double(limits->clip_norm);
    const double norm = sqrt(squares) * inverse;
    const double clip = most > 0 && norm > most ? most / (norm + 1e-6) : 1.0;
    const bool finite = norm - norm == 0;
    out->factor = finite ? float(clip * inverse) : 0.0f;
    out->norm = float(norm);
  }
};

template <class G, class C>
struct Sgd {
  const SgdStep* step;         // one
  const G* grad;               // (n)
  const GradientScale* scale;  // one or null
  float *param, *momentum;     // (n), momentum null where there is none
  C* copy;                     // (n) or null

  template <int kWidth>
  __device__ void run(int64_t i) const {
    const float factor = scale ? scale->factor : 1.0f;
    if (factor == 0) return;
    const SgdStep s = *step;
    float g[kWidth], p[kWidth], m[kWidth] = {};
    load(g, grad + i);
    load(p, param + i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) g[j] = g[j] * factor + s.weight_decay * p[j];
    if (momentum) {
      if (!s.first_step) load(m, momentum + i);  // else it may be anything, even NaN
      const float gain = s.first_step ? 1.0f : 1.0f - s.dampening;
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        m[j] = s.momentum * m[j] + gain * g[j];
        g[j] = s.nesterov ? g[j] + s.momentum * m[j] : m[j];
      }
      store(momentum + i, m);
    }
#pragma unroll
    for (int j = 0; j < kWidth; ++j) p[j] -= s.lr * g[j];
    store(param + i, p);
    if (copy) store(copy + i, p);
  }
};

template <class G, class C>
struct AdamW {
  const AdamWFactors* step;    // one
  const G* grad;               // (n)
  const GradientScale* scale;  // one or null
  float *param, *m, *v;        // (n)
  C* copy;                     // (n) or null

  template <int kWidth>
  __device__ void run(int64_t i) const {
    const float factor = scale ? scale->factor : 1.0f;
    if (factor == 0) return;
    float g[kWidth], p[kWidth], first[kWidth], second[kWidth];
    load(g, grad + i);
    load(p, param + i);
    load(first, m + i);
    load(second, v + i);
    const float beta1 = step->beta1, beta2 = step->beta2;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      g[j] *= factor;
      first[j] = beta1 * first[j] + (1.0f - beta1) * g[j];
      second[j] = beta2 * second[j] + (1.0f - beta2) * g[j] * g[j];
    }
    store(m + i, first);
    store(v + i, second);
    // Only now: they would take registers from the loads before.
    const float rate = step->rate, root = step->root, keep = step->keep, eps = step->eps;
#pragma unroll
    for (int j = 0; j < kWidth; ++j)
      p[j] = p[j] * keep - rate * first[j] / (sqrtf(second[j]) * root + eps);
    store(param + i, p);
    if (copy) store(copy + i, p);
  }
};

// Four elements are 16 bytes of f32, and half of that of the others, which begin together.
template <class G, class C>
int64_t elements_past(const float* param, const float* m, const float* v, const G* grad,
                      const C* copy) {
  const int64_t past = elements_past_boundary(param, m, v);
  auto agrees = [&](const void* p, size_t size) {
    return !p || int64_t(reinterpret_cast<uintptr_t>(p) % (kParameters * size) / size) == past;
  };
  return agrees(grad, sizeof(G)) && agrees(copy, sizeof(C)) ? past : -1;
}

}  // namespace

AdamWFactors factors_of(const AdamWStep& s) {
  const double correction1 = 1.0 - std::pow(double(s.beta1), double(s.step));
  const double correction2 = 1.0 - std::pow(double(s.beta2), double(s.step));
  return {.rate = float(double(s.lr) / correction1),
          .root = float(1.0 / std::sqrt(correction2)),
          .keep = float(1.0 - double(s.lr) * double(s.weight_decay)),
          .beta1 = s.beta1,
          .beta2 = s.beta2,
          .eps = s.eps};
}

template <class G>
void gradient_scale(int64_t n, const G* grad, const GradientLimits* limits, GradientScale* out,
                    Stream stream) {
  sum_elements<kPack<G>>(n, aligned({grad}), SquaresOf<G>{grad}, WriteScale{limits, out}, stream);
}

template <class G, class C>
void sgd(const SgdStep* s, int64_t n, const G* grad, const GradientScale* scale, float* param,
         float* momentum, C* copy, Stream stream) {
  for_each_element<kParameters>(n, elements_past<G, C>(param, momentum, nullptr, grad, copy),
                                Sgd<G, C>{s, grad, scale, param, momentum, copy}, stream);
}

template <class G, class C>
void adamw(const AdamWFactors* s, int64_t n, const G* grad, const GradientScale* scale,
           float* param, float* m, float* v, C* copy, Stream stream) {
  for_each_element<kParameters>(n, elements_past<G, C>(param, m, v, grad, copy),
                                AdamW<G, C>{s, grad, scale, param, m, v, copy}, stream);
}

#define GRAFT_STEP(G, C)                                                                         \
  template void sgd(const SgdStep*, int64_t, const G*, const GradientScale*, float*, float*, C*, \
                    Stream);                                                                     \
  template void adamw(const AdamWFactors*, int64_t, const G*, const GradientScale*, float*,      \
                      float*, float*, C*, Stream);
#define GRAFT_OPTIMIZER(G)                                                                   \
  template void gradient_scale(int64_t, const G*, const GradientLimits*, GradientScale*,     \
                               Stream);                                                      \
  GRAFT_STEP(G, bf16)                                                                        \
  GRAFT_STEP(G, f16)
GRAFT_FOR_FLOATS(GRAFT_OPTIMIZER)
#undef GRAFT_OPTIMIZER
#undef GRAFT_STEP

}  // namespace graft::cuda
