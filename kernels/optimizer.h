// One optimiser step over a flat range of parameters, PyTorch's arithmetic, one pass over memory.
#pragma once
#include <cstdint>

#include "kernels/dtype.h"
#include "kernels/runtime.h"

namespace graft {

// g += weight_decay p;  m = momentum m + (1 - dampening) g, or g at the first step;
// p -= lr (nesterov ? g + momentum m : m). Without momentum m is not touched and may be null.
struct SgdStep {
  float lr, momentum = 0, weight_decay = 0, dampening = 0;
  bool nesterov = false, first_step = false;
};

// p *= 1 - lr weight_decay;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
// p -= lr / (1 - beta1^step) m / (sqrt(v / (1 - beta2^step)) + eps)
// (Loshchilov and Hutter 2019, algorithm 2).
struct AdamWStep {
  float lr, beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, weight_decay = 0.01f;
  int64_t step = 1;  // from 1
};

namespace cpu {

// grad_scale multiplies every gradient on the way: loss scaling, clipping.
void sgd(const SgdStep& s, int64_t n, const float* grad, float grad_scale, float* param,
         float* momentum);
void adamw(const AdamWStep& s, int64_t n, const float* grad, float grad_scale, float* param,
           float* m, float* v);

}  // namespace cpu

namespace cuda {

// What the host decides for a step lies in device memory, too: a step that was captured once
// (kernels/graph.h) reads at each launch what has been put there since.
struct GradientLimits {
  float inverse_loss_scale;  // what gradients are multiplied by
  float clip_norm;           // the largest norm that they may have then; 0: any
};

// An AdamWStep, as far as it can be computed once for all parameters.
struct AdamWFactors {
  float rate;  // lr / (1 - beta1^step)
  float root;  // 1 / sqrt(1 - beta2^step)
  float keep;  // 1 - lr weight_decay
  float beta1, beta2, eps;
};
AdamWFactors factors_of(const AdamWStep& s);  // on the host

// The global norm of gradients, and what to multiply them by. Both stay on the device, so that no
// step waits for the host; the host may look at them when it likes.
struct GradientScale {
  float factor;  // inverse_loss_scale, and clip_norm / (norm + 1e-6) where the norm is larger;
                 // 0 where it is not finite: the step then changes nothing
  float norm;    // of the gradients times inverse_loss_scale
};

// G: float, bf16 or f16, the type of the gradients.
template <class G>
void gradient_scale(int64_t n, const G* grad, const GradientLimits* limits, GradientScale* out,
                    Stream stream);

// As above, everything in device memory. momentum null: none. `scale` null: 1. Where its factor is
// 0 nothing is written. `copy` (n) gets the new parameters in C (bf16 or f16), or is null.
template <class G, class C>
void sgd(const SgdStep* s, int64_t n, const G* grad, const GradientScale* scale, float* param,
         float* momentum, C* copy, Stream stream);
template <class G, class C>
void adamw(const AdamWFactors* s, int64_t n, const G* grad, const GradientScale* scale,
           float* param, float* m, float* v, C* copy, Stream stream);

}  // namespace cuda
}  // namespace graft
