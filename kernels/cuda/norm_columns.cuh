// What the kernels of batch normalisation know of a thread's channels: mean, scale = rstd gamma and
// shift = beta, of kWidth neighbours, loaded into registers before the thread walks down its rows
// (columns.cuh). Tables are (channels) in f32; without gamma it is 1, without beta 0.
// Not yet run on a GPU.
#pragma once
#include "kernels/cuda/columns.cuh"
#include "kernels/elementwise.h"
#include "kernels/norm.h"

namespace graft::cuda {

// p (channels), or null: then all are `other`.
template <int kWidth>
__device__ inline void load_or(float (&v)[kWidth], const float* p, int64_t channel, float other) {
  if (p) return load(v, p + channel);
#pragma unroll
  for (int j = 0; j < kWidth; ++j) v[j] = other;
}

// z = (x - mean) scale + shift
template <int kWidth>
struct NormChannels {
  float mean[kWidth], scale[kWidth], shift[kWidth];  // of the thread's channels

  __device__ NormChannels(const NormProblem& p, int64_t channel) {
    load(mean, p.mean + channel);
    load(scale, p.rstd + channel);
    load_or(shift, p.gamma, channel, 1.0f);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) scale[j] *= shift[j];
    load_or(shift, p.beta, channel, 0.0f);
  }

  // Of the first `count` channels, at any address; the others are 0.
  __device__ NormChannels(const NormProblem& p, int64_t channel, int count)
      : mean{}, scale{}, shift{} {
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      if (j >= count) continue;
      const NormChannels<1> one(p, channel + j);
      mean[j] = one.mean[0], scale[j] = one.scale[0], shift[j] = one.shift[0];
    }
  }

  __device__ float normalized(int j, float x) const { return (x - mean[j]) * scale[j] + shift[j]; }
};

inline bool aligned_channels(const NormProblem& p) {
  return aligned({p.mean, p.rstd, p.gamma, p.beta});
}

}  // namespace graft::cuda
