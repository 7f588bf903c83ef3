// Batch normalisation forward: statistics in one pass over x, then (x - mean) rstd gamma + beta
// + residual and the activation in another.
//
// Statistics are sums of x - pivot and of its square, with the first row as pivot: they are small
// whatever the mean. A thread adds up its rows in float (at least four, where there are so many), a
// block its threads' sums in a tree, and the second kernel the blocks' in double; it also moves the
// running statistics.
// Bytes moved (S: those of x): 1 S for the statistics, then 2 S, or 3 S with a residual, which is
// the limit of two passes. Tables of channels come from the cache, once for each thread. Where the
// kernel that computed x has left its moments, norm_moments.cu takes the place of the first pass.
// Not yet run on a GPU.
#include "kernels/norm.h"

#include "kernels/cuda/norm_columns.cuh"
#include "kernels/cuda/norm_statistics.cuh"

namespace graft::cuda {
namespace {

template <class T>
struct Moments {
  static constexpr int kSums = 2;
  const T* x;  // (rows, channels)

  template <int kWidth>
  struct Columns {
    const Moments& f;
    float pivot[kWidth];

    __device__ Columns(const Moments& f, int64_t channel) : f(f) { load(pivot, f.x + channel); }

    __device__ void add(int64_t, int64_t i, float (&sum)[2][kWidth]) {
      float v[kWidth];
      load(v, f.x + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        const float d = v[j] - pivot[j];
        sum[0][j] += d;
        sum[1][j] += d * d;
      }
    }
  };
};

template <class T>
struct FinishMoments {
  const T* pivot;  // (channels)
  FinishStatistics finish;

  __device__ void operator()(int64_t j, const double (&sum)[2]) const {
    const double m = sum[0] / finish.rows;
    finish(j, double(as_float(pivot[j])) + m, sum[1] / finish.rows - m * m);
  }
};

struct Rstd {
  const float* var;  // (channels)
  float eps;
  float* rstd;  // (channels)

  template <int kWidth>
  __device__ void run(int64_t i) const {
#pragma unroll
    for (int j = 0; j < kWidth; ++j)
      rstd[i + j] = float(1.0 / sqrt(double(var[i + j]) + double(eps)));
  }
};

template <class T, bool kResidual>
struct Normalize {
  NormProblem p;
  const T *x, *residual;  // (rows, channels)
  T* y;                   // (rows, channels)

  template <int kWidth>
  struct Columns {
    const Normalize& f;
    NormChannels<kWidth> channels;

    __device__ Columns(const Normalize& f, int64_t channel) : f(f), channels(f.p, channel) {}

    __device__ void run(int64_t, int64_t i) {
      float v[kWidth], r[kWidth];
      load(v, f.x + i);
      if constexpr (kResidual) load(r, f.residual + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        v[j] = channels.normalized(j, v[j]);
        if constexpr (kResidual) v[j] += r[j];
      }
      with_activation(f.p.activation, [&](auto op) {
#pragma unroll
        for (int j = 0; j < kWidth; ++j) v[j] = op.f(v[j]);
      });
      store(f.y + i, v);
    }
  };
};

}  // namespace

template <class T>
void batch_norm_statistics(int64_t rows, int64_t channels, const T* x, const BatchStatistics& out,
                           Stream stream) {
  if (rows <= 0) return;
  sum_over_rows<kPack<T>>(rows, channels, aligned({x}), Moments<T>{x},
                          FinishMoments<T>{x, {double(rows), out}}, stream);
}

void batch_norm_rstd(int64_t channels, const float* var, float eps, float* rstd, Stream stream) {
  for_each_element<1>(channels, -1, Rstd{var, eps, rstd}, stream);
}

template <class T>
void batch_norm_forward(const NormProblem& p, const T* x, const T* residual, T* y, Stream stream) {
  const bool vectors = aligned({x, residual, y}) && aligned_channels(p);
  if (residual)
    for_each_column<kPack<T>>(p.rows, p.channels, vectors, Normalize<T, true>{p, x, residual, y},
                              stream);
  else
    for_each_column<kPack<T>>(p.rows, p.channels, vectors,
                              Normalize<T, false>{p, x, nullptr, y}, stream);
}

#define GRAFT_NORM(T)                                                                     \
  template void batch_norm_statistics(int64_t, int64_t, const T*, const BatchStatistics&, \
                                      Stream);                                            \
  template void batch_norm_forward(const NormProblem&, const T*, const T*, T*, Stream);
GRAFT_FOR_FLOATS(GRAFT_NORM)
#undef GRAFT_NORM

}  // namespace graft::cuda
