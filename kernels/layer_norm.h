// Layer normalisation of every row of a matrix (Ba et al., 2016):
//   y = (x - mean) rstd gamma + beta, with the row's own mean and biased variance.
#pragma once
#include <cstdint>

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
}  // namespace graft
