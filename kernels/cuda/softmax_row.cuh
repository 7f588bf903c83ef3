// What softmax and cross-entropy need of a row: its largest element, and the sum of exponentials.
// Both are a team's (row_team.cuh), which reads its row twice for them, the second time from the
// first cache. Exponentials are of x - top, at most 1: none overflows. Not yet run on a GPU.
#pragma once
#include <limits>

#include "kernels/cuda/row_team.cuh"
#include "kernels/elementwise.h"

namespace graft::cuda {

// e^(x - top) for a sum; zero where the exponential has saturated.
__device__ inline float exp_below(float x, float top) {
  const float d = x - top;
  return d < -87.0f ? 0.0f : exp_f32(d);
}

struct RowExponentials {
  float top, total;  // total of exp_below(x, top)
};

// x (length): the team's row
template <int kWidth, class Team, class T>
__device__ RowExponentials row_exponentials(Team& team, int64_t length, const T* x) {
  float top = -std::numeric_limits<float>::infinity();
  team.template each<kWidth>(length, [&](int64_t i) {
    float v[kWidth];
    load(v, x + i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) top = v[j] > top ? v[j] : top;
  });
  top = team.largest(top);
  float total = 0;
  team.template each<kWidth>(length, [&](int64_t i) {
    float v[kWidth];
    load(v, x + i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) total += exp_below(v[j], top);
  });
  return {top, team.sum(total)};
}

}  // namespace graft::cuda
