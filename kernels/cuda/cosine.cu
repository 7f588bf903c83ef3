// Queries and keys by their direction alone. A vector (a head's query, key or value in a row) is
// short, so eight threads have it, 16 bytes each at a time: 32 channels of f32, 64 of bf16.
//
// Bytes moved (S: those of qkv): forward 2 S, backward 3 S, the limit. Not yet run on a GPU.
#include "kernels/cosine.h"

#include "kernels/cuda/pack.cuh"

namespace graft::cuda {
namespace {

constexpr int kTeam = 8;  // threads of a vector
constexpr float kShortest = 1e-12f;

struct TeamVector {
  int64_t index, at, row;  // which of all vectors; its first element; its row of qkv
  int64_t head;
  int part;  // 0 query, 1 key, 2 value
  int thread;
  bool exists;

  __device__ explicit TeamVector(const CosineProblem& p)
      : index(int64_t(blockIdx.x) * (kBlock / kTeam) + int(threadIdx.x) / kTeam),
        at(index * p.width),
        thread(int(threadIdx.x) % kTeam),
        exists(index < p.rows * 3 * p.heads) {
    const int64_t line = index / p.heads;
    head = index - line * p.heads, row = line / 3, part = int(line - row * 3);
  }

  // body(i): the thread has the elements [i, i + kWidth), i counted from the first of all.
  template <int kWidth, class Body>
  __device__ void each(int64_t width, const Body& body) const {
    for (int64_t i = thread * kWidth; i < width; i += kTeam * kWidth) body(at + i);
  }
};

// Over the team; in a tree, the same bits in all its threads. The whole warp takes part.
__device__ inline float sum_of_team(float value) {
#pragma unroll
  for (int bit = kTeam / 2; bit > 0; bit /= 2) value += __shfl_xor_sync(0xffffffffu, value, bit);
  return value;
}

// qkv -> y, both (rows, 3, heads, width)
template <int kWidth, class T>
__global__ void __launch_bounds__(kBlock)
    cosine_forward(const CosineProblem p, const T* qkv, T* y) {
  const TeamVector vector(p);
  const bool directed = vector.exists && vector.part < 2;
  float squares = 0;
  if (directed)
    vector.each<kWidth>(p.width, [&](int64_t i) {
      float v[kWidth];
      load(v, qkv + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) squares += v[j] * v[j];
    });
  const float length = sqrtf(sum_of_team(squares));
  if (!vector.exists) return;
  float factor = directed ? 1.0f / fmaxf(length, kShortest) : 1.0f;
  if (vector.part == 0) factor *= cosine_factor(p.log_factors[vector.head]);
  vector.each<kWidth>(p.width, [&](int64_t i) {
    float v[kWidth];
    load(v, qkv + i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) v[j] *= factor;
    store(y + i, v);
  });
}

// With u = x / |x| the gradient is f (dy - u (u dy)) / |x|; and f dy / 1e-12 where |x| is less.
// qkv, dy, dqkv (rows, 3, heads, width); dots (rows, heads); the last two may be null.
template <int kWidth, class T>
__global__ void __launch_bounds__(kBlock)
    cosine_gradient(const CosineProblem p, const T* qkv, const T* dy, T* dqkv, float* dots) {
  const TeamVector vector(p);
  const bool directed = vector.exists && vector.part < 2;
  float squares = 0, product = 0;
  if (directed)
    vector.each<kWidth>(p.width, [&](int64_t i) {
      float v[kWidth], g[kWidth];
      load(v, qkv + i);
      load(g, dy + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) squares += v[j] * v[j], product += v[j] * g[j];
    });
  const float length = sqrtf(sum_of_team(squares)), inner = sum_of_team(product);
  if (!vector.exists) return;
  const float divisor = directed ? fmaxf(length, kShortest) : 1.0f, along = inner / divisor;
  const float log = p.log_factors[vector.head];
  const float factor = vector.part == 0 ? cosine_factor(log) : 1.0f;
  if (dots && vector.part == 0 && vector.thread == 0)
    dots[vector.row * p.heads + vector.head] = log > kLargestLogFactor ? 0.0f : factor * along;
  if (!dqkv) return;
  const float back = directed && length > kShortest ? along / divisor : 0.0f;
  vector.each<kWidth>(p.width, [&](int64_t i) {
    float v[kWidth], g[kWidth];
    load(v, qkv + i);
    load(g, dy + i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) v[j] = factor / divisor * (g[j] - back * v[j]);
    store(dqkv + i, v);
  });
}

template <class T, class Start>
void for_each_vector(const CosineProblem& p, bool vectors, const Start& start) {
  const int64_t count = p.rows * 3 * p.heads;
  if (count <= 0 || p.width <= 0) return;
  with_width<kPack<T>>(vectors && p.width % kPack<T> == 0,
                       [&](auto width) { start(width, dim3(blocks_for(count * kTeam))); });
}

}  // namespace

template <class T>
void cosine(const CosineProblem& p, const T* qkv, T* y, Stream stream) {
  for_each_vector<T>(p, aligned({qkv, y}), [&](auto width, dim3 blocks) {
    launch(cosine_forward<width, T>, {blocks, dim3(kBlock), 0, stream}, p, qkv, y);
  });
}

template <class T>
void cosine_backward(const CosineProblem& p, const T* qkv, const T* dy, T* dqkv, float* dots,
                     Stream stream) {
  if (!dqkv && !dots) return;
  for_each_vector<T>(p, aligned({qkv, dy, dqkv}), [&](auto width, dim3 blocks) {
    launch(cosine_gradient<width, T>, {blocks, dim3(kBlock), 0, stream}, p, qkv, dy, dqkv, dots);
  });
}

#define GRAFT_COSINE(T)                                             \
  template void cosine(const CosineProblem&, const T*, T*, Stream); \
  template void cosine_backward(const CosineProblem&, const T*, const T*, T*, float*, Stream);
GRAFT_FOR_FLOATS(GRAFT_COSINE)
#undef GRAFT_COSINE

}  // namespace graft::cuda
