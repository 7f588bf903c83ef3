// Layer normalisation of every row of a matrix (Ba et al., 2016):
//   y = (x - mean) rstd gamma + beta, with the row's own mean and biased variance.
#pragma once
#include <cstdint>

#include "kernels/runtime.h"

namespace graft {

struct LayerNormProblem {
  int64_t rows, channels;
  float eps;
};

struct LayerNormGradients {  // null: not wanted
  float* dx = nullptr;
  float* dgamma = nullptr;
  float* dbeta = nullptr;
};

namespace cpu {

// mean, rstd (rows): written for the gradients; null when nobody will ask. y may be x.
void layer_norm(const LayerNormProblem& p, const float* x, const float* gamma, const float* beta,
                float* y, float* mean, float* rstd);

void layer_norm_backward(const LayerNormProblem& p, const float* x, const float* gamma,
                         const float* mean, const float* rstd, const float* dy,
                         const LayerNormGradients& out);

}  // namespace cpu

namespace cuda {

template <class T>
struct LayerNormGradients {  // null: not wanted
  T* dx = nullptr;
  float* dgamma = nullptr;
  float* dbeta = nullptr;
};

// As above, in device memory; T (float, bf16 or f16) is the type of x, y and their gradients.
template <class T>
void layer_norm(const LayerNormProblem& p, const T* x, const float* gamma, const float* beta, T* y,
                float* mean, float* rstd, Stream stream);
// dx may be dy where nothing else is wanted.
template <class T>
void layer_norm_backward(const LayerNormProblem& p, const T* x, const float* gamma,
                         const float* mean, const float* rstd, const T* dy,
                         const LayerNormGradients<T>& out, Stream stream);

}  // namespace cuda
}  // namespace graft
