// Softmax over rows, by teams of threads (row_team.cuh): the largest, the sum of exponentials, the
// result; three times over the row, two of them from the first cache.
//
// Bytes moved (S: those of x): forward 2 S, backward 3 S, which is the limit. Not yet run on a GPU.
#include "kernels/softmax.h"

#include "kernels/cuda/softmax_row.cuh"

namespace graft::cuda {
namespace {

template <class T>
struct Softmax {
  int64_t classes;
  const T* x;  // (rows, classes)
  T* y;        // (rows, classes)

  template <int kWidth, class Team>
  __device__ void run(Team& team) const {
    const int64_t row = team.row * classes;
    const RowExponentials e = row_exponentials<kWidth>(team, classes, x + row);
    const float factor = 1.0f / e.total;
    team.template each<kWidth>(classes, [&](int64_t i) {
      float v[kWidth];
      load(v, x + row + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) v[j] = exp_below(v[j], e.top) * factor;
      store(y + row + i, v);
    });
  }
};

template <class T>
struct SoftmaxBackward {
  int64_t classes;
  const T *y, *dy;  // (rows, classes)
  T* dx;            // (rows, classes)

  template <int kWidth, class Team>
  __device__ void run(Team& team) const {
    const int64_t row = team.row * classes;
    float inner = 0;
    team.template each<kWidth>(classes, [&](int64_t i) {
      float p[kWidth], g[kWidth];
      load(p, y + row + i);
      load(g, dy + row + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) inner += g[j] * p[j];
    });
    inner = team.sum(inner);
    team.template each<kWidth>(classes, [&](int64_t i) {
      float p[kWidth], g[kWidth];
      load(p, y + row + i);
      load(g, dy + row + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) g[j] = p[j] * (g[j] - inner);
      store(dx + row + i, g);
    });
  }
};

}  // namespace

template <class T>
void softmax(int64_t rows, int64_t classes, const T* x, T* y, Stream stream) {
  for_each_row<kPack<T>>(rows, classes, aligned({x, y}), Softmax<T>{classes, x, y}, stream);
}

template <class T>
void softmax_backward(int64_t rows, int64_t classes, const T* y, const T* dy, T* dx,
                      Stream stream) {
  for_each_row<kPack<T>>(rows, classes, aligned({y, dy, dx}),
                         SoftmaxBackward<T>{classes, y, dy, dx}, stream);
}

#define GRAFT_SOFTMAX(T)                                       \
  template void softmax(int64_t, int64_t, const T*, T*, Stream); \
  template void softmax_backward(int64_t, int64_t, const T*, const T*, T*, Stream);
GRAFT_FOR_FLOATS(GRAFT_SOFTMAX)
#undef GRAFT_SOFTMAX

}  // namespace graft::cuda
