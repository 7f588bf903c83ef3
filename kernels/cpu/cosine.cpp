// Queries and keys by their direction alone, vector by vector: its length, then its elements times
// one factor, while it is in the first cache. Threads take rows. Its speed has not been measured
// apart.
#include "kernels/cosine.h"

#include <algorithm>
#include <cmath>

#include "kernels/parallel.h"

namespace graft::cpu {
namespace {

constexpr float kShortest = 1e-12f;

float dot(int64_t n, const float* a, const float* b) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// body(row, head, part, first element), part as in qkv.
template <class Body>
void each_vector(const CosineProblem& p, const Body& body) {
  const int64_t wide = 3 * p.heads * p.width;
  parallel_for(p.rows, 16384 / wide + 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t part = 0; part < 3; ++part)
        for (int64_t head = 0; head < p.heads; ++head)
          body(row, head, part, row * wide + (part * p.heads + head) * p.width);
  });
}

}  // namespace

void cosine(const CosineProblem& p, const float* qkv, float* y) {
  each_vector(p, [&](int64_t, int64_t head, int64_t part, int64_t at) {
    float factor = 1;
    if (part < 2) factor /= std::max(std::sqrt(dot(p.width, qkv + at, qkv + at)), kShortest);
    if (part == 0) factor *= cosine_factor(p.log_factors[head]);
    for (int64_t i = at; i < at + p.width; ++i) y[i] = qkv[i] * factor;
  });
}

// With u = x / |x| the gradient is f (dy - u (u dy)) / |x|.
void cosine_backward(const CosineProblem& p, const float* qkv, const float* dy, float* dqkv,
                     float* dots) {
  each_vector(p, [&](int64_t row, int64_t head, int64_t part, int64_t at) {
    if (part == 2) {
      if (dqkv) std::copy_n(dy + at, p.width, dqkv + at);
      return;
    }
    const float length = std::sqrt(dot(p.width, qkv + at, qkv + at));
    const float log = p.log_factors[head], factor = part == 0 ? cosine_factor(log) : 1;
    const float divisor = std::max(length, kShortest);
    const float along = dot(p.width, qkv + at, dy + at) / divisor;
    if (dots && part == 0)
      dots[row * p.heads + head] = log > kLargestLogFactor ? 0 : factor * along;
    if (!dqkv) return;
    const float back = length > kShortest ? along / divisor : 0;  // else divided by a constant
    for (int64_t i = at; i < at + p.width; ++i)
      dqkv[i] = factor / divisor * (dy[i] - back * qkv[i]);
  });
}

}  // namespace graft::cpu
