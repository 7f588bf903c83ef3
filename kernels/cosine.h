// Queries and keys of attention by their direction alone, so that scores are cosines times a factor
// (Swin V2, Liu et al., CVPR 2022).
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/host_device.h"
#include "kernels/runtime.h"

namespace graft {

// qkv (rows, 3, heads, width): every head's queries become factor q / max(|q|, 1e-12), its keys
// k / max(|k|, 1e-12); values stay.
struct CosineProblem {
  int64_t rows, heads, width;
  const float* log_factors;  // (heads)
};

inline constexpr float kLargestLogFactor = 4.6051702f;  // ln 100; what is above counts as that

GRAFT_HD inline float cosine_factor(float log) {
  return expf(log > kLargestLogFactor ? kLargestLogFactor : log);
}

namespace cpu {

void cosine(const CosineProblem& p, const float* qkv, float* y);

// dots (rows, heads): of the queries' gradients with what the queries became, which add up to the
// gradient of log_factors; 0 for one above its limit. Both may be null.
void cosine_backward(const CosineProblem& p, const float* qkv, const float* dy, float* dqkv,
                     float* dots);

}  // namespace cpu

namespace cuda {

// As above, in device memory, log_factors too; T is float, bf16 or f16.
template <class T>
void cosine(const CosineProblem& p, const T* qkv, T* y, Stream stream);
template <class T>
void cosine_backward(const CosineProblem& p, const T* qkv, const T* dy, T* dqkv, float* dots,
                     Stream stream);

}  // namespace cuda
}  // namespace graft
