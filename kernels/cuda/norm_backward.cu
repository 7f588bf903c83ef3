// Batch normalisation backward, with the gradients of the activation and the residual.
//
// With g = dy act'(z), xhat = (x - mean) rstd and m rows (Ioffe and Szegedy 2015, section 3):
//
//   pass 1   sum(g), sum(g (x - mean)); writes g where the residual's gradient is wanted
//   pass 2   dx = gamma rstd (g - sum(g) / m - xhat sum(g xhat) / m)
//
// Where the statistics are constants dx = gamma rstd g needs no sums, and one pass does everything.
// Bytes moved (S: those of x): 2 S + 3 S where z is computed again from x (y null), which is the
// limit of two passes; 3 S + 4 S from y; 4 S + 3 S with a residual, whose gradient is g. Where the
// kernel that computed dy has left its sums, of every tile of rows, they take the place of pass 1:
// 1 S there, to read x. Not yet run on a GPU.
#include "kernels/cuda/norm_columns.cuh"

namespace graft::cuda {
namespace {

template <class T>
struct GradientInputs {
  NormProblem p;
  const T *x, *y, *dy;  // (rows, channels); x is null where nothing asks for it, y as well
};

// g of a thread's elements at i. `x` gets x there if it is read anyway, or if `wants_x`.
template <class T, int kWidth>
__device__ void gradient(const GradientInputs<T>& f, const NormChannels<kWidth>& channels,
                         int64_t i, bool wants_x, float (&g)[kWidth], float (&x)[kWidth]) {
  const bool again = f.p.activation != Activation::none && !f.y;
  float y[kWidth] = {};
  load(g, f.dy + i);
  if (wants_x || again) load(x, f.x + i);
  if (f.p.activation == Activation::none) return;
  if (f.y) load(y, f.y + i);
  with_activation(f.p.activation, [&]<class Op>(Op) {
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      const float z = again ? channels.normalized(j, x[j]) : 0.0f;
      if constexpr (gradient_from_output(Op::kind))
        g[j] *= Op::df(0.0f, again ? Op::f(z) : y[j]);
      else
        g[j] *= Op::df(z, 0.0f);
    }
  });
}

// Pass 1. dx is written only where the statistics are constants.
template <class T>
struct GradientPass {
  static constexpr int kSums = 2;
  GradientInputs<T> in;
  T *dresidual, *dx;  // (rows, channels) or null
  bool slope;         // is sum(g (x - mean)) wanted?

  template <int kWidth>
  struct Columns {
    const GradientPass& f;
    NormChannels<kWidth> channels;

    __device__ Columns(const GradientPass& f, int64_t channel)
        : f(f), channels(f.in.p, channel) {}

    __device__ void run(int64_t row, int64_t i) {
      float unused[2][kWidth] = {};
      add(row, i, unused);
    }

    __device__ void add(int64_t, int64_t i, float (&sum)[2][kWidth]) {
      float g[kWidth], x[kWidth] = {};
      gradient(f.in, channels, i, f.slope, g, x);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sum[0][j] += g[j];
      if (f.slope) {
#pragma unroll
        for (int j = 0; j < kWidth; ++j) sum[1][j] += g[j] * (x[j] - channels.mean[j]);
      }
      if (f.dresidual) store(f.dresidual + i, g);
      if (!f.dx) return;
#pragma unroll
      for (int j = 0; j < kWidth; ++j) g[j] *= channels.scale[j];
      store(f.dx + i, g);
    }
  };
};

struct FinishGradients {
  const float* rstd;  // (channels)
  double rows;
  float *dgamma, *dbeta;   // (channels) or null
  float *offset, *factor;  // (channels) or null: sum(g) / m, sum(g xhat) rstd / m, for pass 2

  __device__ void operator()(int64_t j, const double (&sum)[2]) const {
    const double r = double(rstd[j]);
    if (dbeta) dbeta[j] = float(sum[0]);
    if (dgamma) dgamma[j] = float(sum[1] * r);
    if (!offset) return;
    offset[j] = float(sum[0] / rows);
    factor[j] = float(sum[1] / rows * r * r);
  }
};

// Pass 2. Takes g from where pass 1 has written it: in.dy is then that, without an activation.
template <class T>
struct InputGradient {
  GradientInputs<T> in;
  const float *offset, *factor;  // (channels)
  T* dx;                         // (rows, channels)

  template <int kWidth>
  struct Columns {
    const InputGradient& f;
    NormChannels<kWidth> channels;
    float offset[kWidth], factor[kWidth];

    __device__ Columns(const InputGradient& f, int64_t channel) : f(f), channels(f.in.p, channel) {
      load(offset, f.offset + channel);
      load(factor, f.factor + channel);
    }

    __device__ void run(int64_t, int64_t i) {
      float g[kWidth], x[kWidth] = {};
      gradient(f.in, channels, i, true, g, x);
#pragma unroll
      for (int j = 0; j < kWidth; ++j)
        g[j] = channels.scale[j] * (g[j] - offset[j] - (x[j] - channels.mean[j]) * factor[j]);
      store(f.dx + i, g);
    }
  };
};

// Channels of a thread: with more the sums, tables and values of all three inputs would not fit in
// the registers of four blocks.
constexpr int kChannels = 4;

constexpr int kTileThreads = 1024;  // that add up tiles, of which there are thousands

// sum(g) / m and sum(g xhat) rstd / m of each channel, from pass 1 for pass 2.
struct MeanGradients {
  Scratch memory;
  float *offset = nullptr, *factor = nullptr;  // (channels)

  MeanGradients(int64_t channels, bool wanted, Stream stream)
      : memory(wanted ? size_t(2 * padded(channels)) * sizeof(float) : 0, stream) {
    if (!wanted) return;
    offset = memory.data<float>();
    factor = offset + padded(channels);
  }
  static int64_t padded(int64_t channels) { return (channels + 3) / 4 * 4; }
};

template <class T>
FinishGradients finish(const NormProblem& p, const NormGradients<T>& out,
                       const MeanGradients& means) {
  return {p.rstd, double(p.rows), out.dgamma, out.dbeta, means.offset, means.factor};
}

template <class T>
void input_gradient(const GradientInputs<T>& in, bool vectors, const MeanGradients& means, T* dx,
                    Stream stream) {
  if (!dx) return;
  for_each_column<kChannels>(in.p.rows, in.p.channels, vectors,
                            InputGradient<T>{in, means.offset, means.factor, dx}, stream);
}

template <class T>
bool all_aligned(const GradientInputs<T>& in, const NormGradients<T>& out) {
  return aligned({in.x, in.y, in.dy, out.dx, out.dresidual}) && aligned_channels(in.p);
}

// y is of no use where the gradient does not follow from it.
template <class T>
const T* usable(const NormProblem& p, const T* y) {
  return gradient_from_output(p.activation) ? y : nullptr;
}

}  // namespace

template <class T>
void batch_norm_backward_train(const NormProblem& p, const T* x, const T* y, const T* dy,
                               const NormGradients<T>& out, Stream stream) {
  GradientInputs<T> in{p, x, usable(p, y), dy};
  const bool vectors = all_aligned(in, out);
  const MeanGradients means(p.channels, out.dx, stream);
  sum_over_rows<kChannels>(p.rows, p.channels, vectors,
                           GradientPass<T>{in, out.dresidual, nullptr, true},
                           finish(p, out, means), stream);
  if (out.dresidual) {
    in.dy = out.dresidual;
    in.p.activation = Activation::none;
  }
  input_gradient(in, vectors, means, out.dx, stream);
}

template <class T>
void batch_norm_backward_by_sums(const NormProblem& p, const T* x, const T* dy,
                                 const GradientSums& sums, const NormGradients<T>& out,
                                 Stream stream) {
  if (p.rows <= 0 || p.channels <= 0) return;
  const GradientInputs<T> in{p, x, nullptr, dy};
  const MeanGradients means(p.channels, out.dx, stream);
  finish_sums<GradientPass<T>::kSums, kTileThreads>(sums.tiles, p.channels, sums.of,
                                                    finish(p, out, means), stream);
  input_gradient(in, all_aligned(in, out), means, out.dx, stream);
}

template <class T>
void batch_norm_backward_frozen(const NormProblem& p, const T* x, const T* y, const T* dy,
                                const NormGradients<T>& out, Stream stream) {
  const GradientInputs<T> in{p, x, usable(p, y), dy};
  const bool vectors = all_aligned(in, out);
  if (out.dgamma || out.dbeta)
    sum_over_rows<kChannels>(
        p.rows, p.channels, vectors,
        GradientPass<T>{in, out.dresidual, out.dx, out.dgamma != nullptr},
        FinishGradients{p.rstd, double(p.rows), out.dgamma, out.dbeta, nullptr, nullptr}, stream);
  else if (out.dx || out.dresidual)
    for_each_column<kChannels>(p.rows, p.channels, vectors,
                              GradientPass<T>{in, out.dresidual, out.dx, false}, stream);
}

#define GRAFT_NORM_BACKWARD(T)                                                                     \
  template void batch_norm_backward_train(const NormProblem&, const T*, const T*, const T*,        \
                                          const NormGradients<T>&, Stream);                        \
  template void batch_norm_backward_by_sums(const NormProblem&, const T*, const T*,                \
                                            const GradientSums&, const NormGradients<T>&, Stream); \
  template void batch_norm_backward_frozen(const NormProblem&, const T*, const T*, const T*,       \
                                           const NormGradients<T>&, Stream);
GRAFT_FOR_FLOATS(GRAFT_NORM_BACKWARD)
#undef GRAFT_NORM_BACKWARD

}  // namespace graft::cuda
