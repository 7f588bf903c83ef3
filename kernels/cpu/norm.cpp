// Batch normalisation, two passes over memory each way: sums for the channels, then the result with
// residual and activation. Threads take rows; sums run in float over 32 rows, then in double, in
// chunks that follow from the size. Measured on two cores, with ReLU in training: 22 GB/s forward,
// 16 backward (bench/RESULTS.md, Operations).
#include "kernels/norm.h"

#include <cmath>
#include <vector>

#include "kernels/elementwise.h"
#include "kernels/parallel.h"

namespace graft::cpu {
namespace {

constexpr int64_t kGrain = 16384;   // elements per thread at least
constexpr int64_t kBlockRows = 32;  // rows summed in float before the sum goes on in double

int64_t row_grain(int64_t channels) { return kGrain / std::max<int64_t>(channels, 1) + 1; }

// Two sums per channel over all rows. add(begin, end, s, q) adds the rows [begin, end) to the float
// arrays s and q (channels); the blocks' sums go on in double, chunk by chunk, then in order.
struct ColumnSums {
  std::vector<double> s, q;
};

template <class Add>
ColumnSums sum_columns(int64_t rows, int64_t channels, const Add& add) {
  const int64_t chunks = chunk_count(rows, row_grain(channels));
  std::vector<double> partial(size_t(chunks * 2 * channels), 0.0);
  parallel_for(chunks, 1, [&](int64_t first, int64_t last) {
    std::vector<float> block(size_t(2 * channels));
    float *s = block.data(), *q = s + channels;
    for (int64_t chunk = first; chunk < last; ++chunk) {
      double* sum = partial.data() + chunk * 2 * channels;
      const int64_t end = rows * (chunk + 1) / chunks;
      for (int64_t row = rows * chunk / chunks; row < end; row += kBlockRows) {
        std::fill(block.begin(), block.end(), 0.0f);
        add(row, std::min(row + kBlockRows, end), s, q);
#pragma omp simd
        for (int64_t j = 0; j < 2 * channels; ++j) sum[j] += block[size_t(j)];
      }
    }
  });
  for (int64_t chunk = 1; chunk < chunks; ++chunk)
    for (int64_t j = 0; j < 2 * channels; ++j)
      partial[size_t(j)] += partial[size_t(chunk * 2 * channels + j)];
  return {{partial.begin(), partial.begin() + channels},
          {partial.begin() + channels, partial.begin() + 2 * channels}};
}

// The normalisation of one channel as a plain function: z = (x - mean) scale + beta.
struct Affine {
  std::vector<float> scale, shift;

  explicit Affine(const NormProblem& p) : scale(size_t(p.channels)), shift(size_t(p.channels)) {
    for (int64_t j = 0; j < p.channels; ++j) {
      scale[size_t(j)] = p.rstd[j] * (p.gamma ? p.gamma[j] : 1.0f);
      shift[size_t(j)] = p.beta ? p.beta[j] : 0.0f;
    }
  }
};

// g = dy act'(z), from y where that is enough and from z computed again elsewhere.
template <class Op>
struct ActivationGradient {
  const float *x, *y, *dy, *mean, *scale, *shift;

  float operator()(int64_t i, int64_t j) const {
    if constexpr (Op::kind == Activation::none)
      return dy[i];
    else if constexpr (gradient_from_output(Op::kind))
      return dy[i] * Op::df(0.0f, y[i]);
    else
      return dy[i] * Op::df((x[i] - mean[j]) * scale[j] + shift[j], 0.0f);
  }
};

template <class Body>
void each_row(const NormProblem& p, const Body& body) {
  parallel_for(p.rows, row_grain(p.channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row * p.channels);
  });
}

float rstd_of(float var, float eps) { return float(1.0 / std::sqrt(double(var) + double(eps))); }

// The statistics of channel j, to whoever wants them.
void publish(const BatchStatistics& out, int64_t j, int64_t rows, float mean, float var) {
  auto move = [&](float* running, float batch) {
    if (running) running[j] = (1.0f - out.momentum) * running[j] + out.momentum * batch;
  };
  if (out.mean) out.mean[j] = mean;
  if (out.var) out.var[j] = var;
  if (out.rstd) out.rstd[j] = rstd_of(var, out.eps);
  move(out.running_mean, mean);
  move(out.running_var, var * (float(rows) / float(rows - 1)));
}

}  // namespace

void batch_norm_statistics(int64_t rows, int64_t channels, const float* x, const BatchStatistics& out) {
  // Sums of x - pivot and its square; the first row as pivot keeps them small whatever the mean.
  const float* pivot = x;
  ColumnSums sums = sum_columns(rows, channels, [=](int64_t row, int64_t end, float* s, float* q) {
    for (; row + 4 <= end; row += 4) {
      const float *a = x + row * channels, *b = a + channels, *c = b + channels, *d = c + channels;
#pragma omp simd
      for (int64_t j = 0; j < channels; ++j) {
        float w0 = a[j] - pivot[j], w1 = b[j] - pivot[j], w2 = c[j] - pivot[j],
              w3 = d[j] - pivot[j];
        s[j] += (w0 + w1) + (w2 + w3);
        q[j] += (w0 * w0 + w1 * w1) + (w2 * w2 + w3 * w3);
      }
    }
    for (; row < end; ++row) {
      const float* at = x + row * channels;
#pragma omp simd
      for (int64_t j = 0; j < channels; ++j) {
        float d = at[j] - pivot[j];
        s[j] += d;
        q[j] += d * d;
      }
    }
  });
  for (int64_t j = 0; j < channels; ++j) {
    double m = sums.s[size_t(j)] / double(rows);
    publish(out, j, rows, float(double(pivot[j]) + m),
            float(std::max(sums.q[size_t(j)] / double(rows) - m * m, 0.0)));
  }
}

void batch_norm_rstd(int64_t channels, const float* var, float eps, float* rstd) {
  for (int64_t j = 0; j < channels; ++j) rstd[j] = rstd_of(var[j], eps);
}

void batch_norm_forward(const NormProblem& p, const float* x, const float* residual, float* y) {
  const Affine affine(p);
  const float *mean = p.mean, *scale = affine.scale.data(), *shift = affine.shift.data();
  with_activation(p.activation, [&]<class Op>(Op) {
    each_row(p, [&](int64_t at) {
      const float *from = x + at, *other = residual ? residual + at : nullptr;
      float* to = y + at;
      if (other) {
#pragma omp simd
        for (int64_t j = 0; j < p.channels; ++j)
          to[j] = Op::f((from[j] - mean[j]) * scale[j] + shift[j] + other[j]);
      } else {
#pragma omp simd
        for (int64_t j = 0; j < p.channels; ++j)
          to[j] = Op::f((from[j] - mean[j]) * scale[j] + shift[j]);
      }
    });
  });
}

namespace {

// sum g and sum g (x - mean) per channel; writes g where it is wanted.
template <class Op>
ColumnSums gradient_sums(const NormProblem& p, const ActivationGradient<Op>& gradient,
                         const float* x, float* g_out) {
  const int64_t channels = p.channels;
  const float* mean = p.mean;
  return sum_columns(p.rows, channels, [=](int64_t row, int64_t end, float* s, float* q) {
    for (; row < end; ++row) {
      const int64_t at = row * channels;
#pragma omp simd
      for (int64_t j = 0; j < channels; ++j) {
        float g = gradient(at + j, j);
        if (g_out) g_out[at + j] = g;
        s[j] += g;
        if (x) q[j] += g * (x[at + j] - mean[j]);
      }
    }
  });
}

void write_affine_gradients(const NormProblem& p, const ColumnSums& sums,
                            const NormGradients& out) {
  for (int64_t j = 0; j < p.channels; ++j) {
    if (out.dbeta) out.dbeta[j] = float(sums.s[size_t(j)]);
    if (out.dgamma) out.dgamma[j] = float(sums.q[size_t(j)] * double(p.rstd[j]));
  }
}

template <class Op>
ActivationGradient<Op> gradient_of(const NormProblem& p, const Affine& affine, const float* x,
                                   const float* y, const float* dy) {
  return {x, y, dy, p.mean, affine.scale.data(), affine.shift.data()};
}

}  // namespace

// With xhat = (x - mean) rstd and m rows (Ioffe and Szegedy 2015, section 3):
//   dx = gamma rstd (g - sum(g) / m - xhat sum(g xhat) / m)
void batch_norm_backward_train(const NormProblem& p, const float* x, const float* y,
                               const float* dy, const NormGradients& out) {
  const Affine affine(p);
  const float *mean = p.mean, *scale = affine.scale.data();
  with_activation(p.activation, [&]<class Op>(Op) {
    auto gradient = gradient_of<Op>(p, affine, x, y, dy);
    ColumnSums sums = gradient_sums<Op>(p, gradient, x, out.dresidual);
    write_affine_gradients(p, sums, out);
    if (!out.dx) return;
    std::vector<float> offset(size_t(p.channels)), slope(size_t(p.channels));
    for (size_t j = 0; j < offset.size(); ++j) {
      offset[j] = float(sums.s[j] / double(p.rows));
      slope[j] = float(sums.q[j] / double(p.rows) * double(p.rstd[j]) * double(p.rstd[j]));
    }
    const float *b = offset.data(), *k = slope.data(), *g = out.dresidual;
    each_row(p, [&](int64_t at) {
      float* dx = out.dx + at;
      const float* from = x + at;
      if (g) {  // written by the first pass
#pragma omp simd
        for (int64_t j = 0; j < p.channels; ++j)
          dx[j] = scale[j] * (g[at + j] - b[j] - (from[j] - mean[j]) * k[j]);
      } else {
#pragma omp simd
        for (int64_t j = 0; j < p.channels; ++j)
          dx[j] = scale[j] * (gradient(at + j, j) - b[j] - (from[j] - mean[j]) * k[j]);
      }
    });
  });
}

void batch_norm_backward_frozen(const NormProblem& p, const float* x, const float* y,
                                const float* dy, const NormGradients& out) {
  const Affine affine(p);
  const float* scale = affine.scale.data();
  with_activation(p.activation, [&]<class Op>(Op) {
    auto gradient = gradient_of<Op>(p, affine, x, y, dy);
    bool written = false;  // dresidual
    if (out.dgamma || out.dbeta) {
      auto sums = gradient_sums<Op>(p, gradient, out.dgamma ? x : nullptr, out.dresidual);
      write_affine_gradients(p, sums, out);
      written = out.dresidual;
    }
    if (!out.dx && (written || !out.dresidual)) return;
    each_row(p, [&](int64_t at) {
      float* g = out.dresidual;
      if (g && !written) {
#pragma omp simd
        for (int64_t j = 0; j < p.channels; ++j) g[at + j] = gradient(at + j, j);
      }
      if (!out.dx) return;
      float* dx = out.dx + at;
      if (g) {
#pragma omp simd
        for (int64_t j = 0; j < p.channels; ++j) dx[j] = g[at + j] * scale[j];
      } else {
#pragma omp simd
        for (int64_t j = 0; j < p.channels; ++j) dx[j] = gradient(at + j, j) * scale[j];
      }
    });
  });
}

}  // namespace graft::cpu
