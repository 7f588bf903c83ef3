// Queries and keys of attention by their direction alone, so that scores are cosines times a factor
// (Swin V2, Liu et al., CVPR 2022).
#pragma once
#include <cstdint>

#include "kernels/runtime.h"

namespace graft {

// qkv (rows, 3, heads, width): every head's queries become q factors[head] / max(|q|, 1e-12), its keys
// k / max(|k|, 1e-12); values stay.
struct CosineProblem {
  int64_t rows, heads, width;
  const float* factors;  // (heads)
};

namespace cpu {

void cosine(const CosineProblem& p, const float* qkv, float* y);

// dots (rows, heads): of the queries' gradients with what the queries became, for the gradient of
// the factors' logarithms. Both may be null.
void cosine_backward(const CosineProblem& p, const float* qkv, const float* dy, float* dqkv,
                     float* dots);

}  // namespace cpu

namespace cuda {

// As above, in device memory, factors too; T is float, bf16 or f16.
template <class T>
void cosine(const CosineProblem& p, const T* qkv, T* y, Stream stream);
template <class T>
void cosine_backward(const CosineProblem& p, const T* qkv, const T* dy, T* dqkv, float* dots,
                     Stream stream);

}  // namespace cuda
}  // namespace graft
