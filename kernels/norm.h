// Batch normalisation over rows x channels (NHWC seen as a matrix, rows = N H W), fused with a
// residual and an activation: y = act((x - mean) rstd gamma + beta + residual).
// Two passes over memory per direction. Null gamma is one, null beta zero, null outputs are not
// computed. Sums are taken in chunks fixed by the size: no result depends on the thread count.
#pragma once
#include <cstdint>

#include "kernels/activation.h"

namespace graft {

struct NormProblem {
  int64_t rows, channels;
  const float* mean;   // (channels)
  const float* rstd;   // (channels), 1 / sqrt(var + eps)
  const float* gamma;  // (channels) or null
  const float* beta;   // (channels) or null
  Activation activation = Activation::none;
};

struct NormGradients {  // null: not wanted
  float* dx = nullptr;
  float* dgamma = nullptr;
  float* dbeta = nullptr;
  float* dresidual = nullptr;
};

namespace cpu {

// Mean and biased variance of every channel.
void batch_norm_statistics(int64_t rows, int64_t channels, const float* x, float* mean, float* var);

void batch_norm_rstd(int64_t channels, const float* var, float eps, float* rstd);

// y may be x or residual. residual may be null.
void batch_norm_forward(const NormProblem& p, const float* x, const float* residual, float* y);

// Where the activation's gradient does not follow from y, y is not read (may be null) and the
// activation's input is computed again from x; then there must have been no residual.

// mean and rstd were the batch's own and carry gradient.
void batch_norm_backward_train(const NormProblem& p, const float* x, const float* y,
                               const float* dy, const NormGradients& out);

// mean and rstd are constants. x is read only for dgamma, or to compute the activation's input.
void batch_norm_backward_frozen(const NormProblem& p, const float* x, const float* y,
                                const float* dy, const NormGradients& out);

}  // namespace cpu
}  // namespace graft
