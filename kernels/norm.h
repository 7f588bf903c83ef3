// Batch normalisation over rows x channels (NHWC seen as a matrix, rows = N H W), fused with a
// residual and an activation: y = act((x - mean) rstd gamma + beta + residual).
// Two passes over memory per direction. Null gamma is one, null beta zero, null outputs are not
// computed. Sums are taken in chunks fixed by the size: no result depends on the thread count.
#pragma once
#include <cstdint>

#include "kernels/activation.h"
#include "kernels/moments.h"
#include "kernels/runtime.h"

namespace graft {

struct NormProblem {
  int64_t rows, channels;
  const float* mean;   // (channels)
  const float* rstd;   // (channels), 1 / sqrt(var + eps)
  const float* gamma;  // (channels) or null
  const float* beta;   // (channels) or null
  Activation activation = Activation::none;
};

// What a training step wants of the statistics, each (channels); null: not wanted.
// running = (1 - momentum) running + momentum batch, where the variance of the batch is unbiased.
struct BatchStatistics {
  float *mean = nullptr, *var = nullptr;  // var: biased
  float* rstd = nullptr;
  float eps = 0;  // for rstd
  float *running_mean = nullptr, *running_var = nullptr;
  float momentum = 0;
};

struct NormGradients {  // null: not wanted
  float* dx = nullptr;
  float* dgamma = nullptr;
  float* dbeta = nullptr;
  float* dresidual = nullptr;
};

namespace cpu {

void batch_norm_statistics(int64_t rows, int64_t channels, const float* x, const BatchStatistics& out);

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

namespace cuda {

template <class T>
struct NormGradients {  // null: not wanted
  T* dx = nullptr;
  float* dgamma = nullptr;
  float* dbeta = nullptr;
  T* dresidual = nullptr;
};

// As above, in device memory; T (float, bf16 or f16) is the type of x, y, residual and of their
// gradients. Sums have an order fixed by the size.
template <class T>
void batch_norm_statistics(int64_t rows, int64_t channels, const T* x, const BatchStatistics& out,
                           Stream stream);
// The same of an x whose moments are known: it is not read.
void batch_norm_statistics(int64_t rows, int64_t channels, const TileMoments& x,
                           const BatchStatistics& out, Stream stream);
void batch_norm_rstd(int64_t channels, const float* var, float eps, float* rstd, Stream stream);
template <class T>
void batch_norm_forward(const NormProblem& p, const T* x, const T* residual, T* y, Stream stream);

// Where y is null the activation's input is computed again from x, whatever the activation: where
// there was no residual that is less to read.
template <class T>
void batch_norm_backward_train(const NormProblem& p, const T* x, const T* y, const T* dy,
                               const NormGradients<T>& out, Stream stream);
// The same, without a residual, of a dy whose sums are known: x and dy are read once, for dx alone.
template <class T>
void batch_norm_backward_by_sums(const NormProblem& p, const T* x, const T* dy,
                                 const GradientSums& sums, const NormGradients<T>& out,
                                 Stream stream);
template <class T>
void batch_norm_backward_frozen(const NormProblem& p, const T* x, const T* y, const T* dy,
                                const NormGradients<T>& out, Stream stream);

}  // namespace cuda
}  // namespace graft
