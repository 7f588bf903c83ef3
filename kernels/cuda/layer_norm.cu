// Layer normalisation. A team of threads (row_team.cuh) goes over its row three times: mean, then
// variance around it, whose terms are small whatever the mean, then the result. The gradients of
// gamma and beta are sums over rows (columns.cuh).
//
// Bytes moved (S: those of x): forward 2 S, the limit; backward 3 S for dx, 2 S for dgamma and
// dbeta together. Not yet run on a GPU.
#include "kernels/layer_norm.h"

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/row_team.cuh"

namespace graft::cuda {
namespace {

template <class T>
struct Forward {
  LayerNormProblem p;
  const T* x;                 // (rows, channels)
  const float *gamma, *beta;  // (channels)
  T* y;                       // (rows, channels)
  float *mean, *rstd;         // (rows) or null

  template <int kWidth, class Team>
  __device__ void run(Team& team) const {
    const int64_t n = p.channels;
    const T* from = x + team.row * n;
    float sum = 0;
    team.template each<kWidth>(n, [&](int64_t i) {
      float v[kWidth];
      load(v, from + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sum += v[j];
    });
    const float m = team.sum(sum) / float(n);
    float squares = 0;
    team.template each<kWidth>(n, [&](int64_t i) {
      float v[kWidth];
      load(v, from + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) squares += (v[j] - m) * (v[j] - m);
    });
    const float r = 1.0f / sqrtf(team.sum(squares) / float(n) + p.eps);
    if (mean && team.thread == 0) mean[team.row] = m, rstd[team.row] = r;
    team.template each<kWidth>(n, [&](int64_t i) {
      float v[kWidth], scale[kWidth], shift[kWidth];
      load(v, from + i);
      load(scale, gamma + i);
      load(shift, beta + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) v[j] = (v[j] - m) * r * scale[j] + shift[j];
      store(y + team.row * n + i, v);
    });
  }
};

// With xhat = (x - mean) rstd and g = dy gamma: dx = rstd (g - mean(g) - xhat mean(g xhat))
template <class T>
struct Backward {
  LayerNormProblem p;
  const T *x, *dy;            // (rows, channels)
  const float* gamma;         // (channels)
  const float *mean, *rstd;   // (rows)
  T* dx;                      // (rows, channels)

  template <int kWidth, class Team>
  __device__ void run(Team& team) const {
    const int64_t n = p.channels, row = team.row * n;
    const float m = mean[team.row], r = rstd[team.row];
    // g and xhat of the elements at i
    auto inputs = [&](int64_t i, float(&g)[kWidth], float(&xhat)[kWidth]) {
      float scale[kWidth];
      load(g, dy + row + i);
      load(xhat, x + row + i);
      load(scale, gamma + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) g[j] *= scale[j], xhat[j] = (xhat[j] - m) * r;
    };
    float sum = 0, slope = 0;
    team.template each<kWidth>(n, [&](int64_t i) {
      float g[kWidth], xhat[kWidth];
      inputs(i, g, xhat);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sum += g[j], slope += g[j] * xhat[j];
    });
    sum = team.sum(sum) / float(n), slope = team.sum(slope) / float(n);
    team.template each<kWidth>(n, [&](int64_t i) {
      float g[kWidth], xhat[kWidth];
      inputs(i, g, xhat);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) g[j] = r * (g[j] - sum - xhat[j] * slope);
      store(dx + row + i, g);
    });
  }
};

template <class T>
struct AffineSums {
  static constexpr int kSums = 2;
  const T *x, *dy;           // (rows, channels)
  const float *mean, *rstd;  // (rows)

  template <int kWidth>
  struct Columns {
    const AffineSums& f;
    __device__ Columns(const AffineSums& f, int64_t) : f(f) {}

    __device__ void add(int64_t row, int64_t i, float (&sum)[2][kWidth]) {
      const float m = f.mean[row], r = f.rstd[row];
      float v[kWidth], g[kWidth];
      load(v, f.x + i);
      load(g, f.dy + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        sum[0][j] += g[j];
        sum[1][j] += g[j] * ((v[j] - m) * r);
      }
    }
  };
};

struct WriteAffine {
  float *dgamma, *dbeta;  // (channels) or null
  __device__ void operator()(int64_t channel, const double (&sum)[2]) const {
    if (dbeta) dbeta[channel] = float(sum[0]);
    if (dgamma) dgamma[channel] = float(sum[1]);
  }
};

}  // namespace

template <class T>
void layer_norm(const LayerNormProblem& p, const T* x, const float* gamma, const float* beta, T* y,
                float* mean, float* rstd, Stream stream) {
  for_each_row<kPack<T>>(p.rows, p.channels, aligned({x, gamma, beta, y}),
                         Forward<T>{p, x, gamma, beta, y, mean, rstd}, stream);
}

template <class T>
void layer_norm_backward(const LayerNormProblem& p, const T* x, const float* gamma,
                         const float* mean, const float* rstd, const T* dy,
                         const LayerNormGradients<T>& out, Stream stream) {
  if (out.dgamma || out.dbeta)
    sum_over_rows<kPack<T>>(p.rows, p.channels, aligned({x, dy}), AffineSums<T>{x, dy, mean, rstd},
                            WriteAffine{out.dgamma, out.dbeta}, stream);
  if (out.dx)
    for_each_row<kPack<T>>(p.rows, p.channels, aligned({x, gamma, dy, out.dx}),
                           Backward<T>{p, x, dy, gamma, mean, rstd, out.dx}, stream);
}

#define GRAFT_LAYER_NORM(T)                                                                     \
  template void layer_norm(const LayerNormProblem&, const T*, const float*, const float*, T*,   \
                           float*, float*, Stream);                                             \
  template void layer_norm_backward(const LayerNormProblem&, const T*, const float*,            \
                                    const float*, const float*, const T*,                       \
                                    const LayerNormGradients<T>&, Stream);
GRAFT_FOR_FLOATS(GRAFT_LAYER_NORM)
#undef GRAFT_LAYER_NORM

}  // namespace graft::cuda
