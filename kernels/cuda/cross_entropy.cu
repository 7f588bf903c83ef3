// Cross-entropy and its gradient: one kernel goes over the logits, two more (flat_sum.cuh) add the
// rows' losses, in an order that follows from their number. Class weights need their sum over the
// labels first, by another two; without weights it is the number of rows.
//
// With t as in kernels/softmax.h, a row's loss is sum_j t_j (log total + top - x_j), and its
// gradient softmax(x)_j sum(t) - t_j, both over the sum of the labels' weights. sum_j t_j x_j and
// sum(t) are taken on the way, in float relative to `top`, so that nothing large cancels.
// Bytes moved (S: those of the logits): 2 S, the limit; for a head of 1000 classes it is the
// launches that count. Not yet run on a GPU.
#include "kernels/cuda/flat_sum.cuh"
#include "kernels/cuda/softmax_row.cuh"
#include "kernels/softmax.h"

namespace graft::cuda {
namespace {

__device__ inline bool valid(const CrossEntropyProblem& p, int32_t label) {
  return label >= 0 && label < p.classes;
}

// The labels' weights.
struct LabelWeights {
  CrossEntropyProblem p;  // its labels (rows), weights (classes)

  template <int kWidth>
  __device__ void add(int64_t i, float& sum) const {
#pragma unroll
    for (int j = 0; j < kWidth; ++j)
      if (valid(p, p.labels[i + j])) sum += p.weights[p.labels[i + j]];
  }
};

struct Write {
  double* total;  // one
  __device__ void operator()(double sum) const { *total = sum; }
};

template <class T>
struct LossOfRow {
  CrossEntropyProblem p;
  const T* x;              // (rows, classes)
  T* dx;                   // (rows, classes) or null
  const double* weight;    // the sum of the labels' weights, or null: rows
  float* loss;             // (rows), not yet divided
  float scale;             // of dx

  template <int kWidth, class Team>
  __device__ void run(Team& team) const {
    const int64_t n = p.classes, row = team.row * n;
    const RowExponentials e = row_exponentials<kWidth>(team, n, x + row);
    const int32_t label = p.labels[team.row];
    const bool known = valid(p, label);
    const float spread = p.smoothing / float(n);
    const float hard = (1.0f - p.smoothing) * (p.weights && known ? p.weights[label] : 1.0f);

    float mass = 0, below = 0;  // of the spread targets: sum(t), sum(t (top - x))
    if (spread != 0)
      team.template each<kWidth>(n, [&](int64_t i) {
        float v[kWidth];
        load(v, x + row + i);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) {
          const float t = spread * (p.weights ? p.weights[i + j] : 1.0f);
          mass += t;
          below += t * (e.top - v[j]);
        }
      });
    if (spread != 0) mass = team.sum(mass), below = team.sum(below);
    mass += hard;
    if (team.thread == 0) {
      const float distance = known ? e.top - as_float(x[row + label]) : nanf("");
      loss[team.row] = float(double(mass) * log(double(e.total)) + double(below) +
                             double(hard) * double(distance));
    }
    if (!dx) return;

    const float divide = float(double(scale) / (weight ? *weight : double(p.rows)));
    const float factor = known ? mass / e.total : nanf("");
    team.template each<kWidth>(n, [&](int64_t i) {
      float v[kWidth];
      load(v, x + row + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        float d = exp_below(v[j], e.top) * factor;
        d -= spread * (p.weights ? p.weights[i + j] : 1.0f);
        if (i + j == label) d -= hard;
        v[j] = d * divide;
      }
      store(dx + row + i, v);
    });
  }
};

struct Losses {
  const float* loss;  // (rows)

  template <int kWidth>
  __device__ void add(int64_t i, float& sum) const {
    float v[kWidth];
    load(v, loss + i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) sum += v[j];
  }
};

struct Mean {
  double rows;
  const double* weight;  // one, or null: rows
  float* mean;           // one
  __device__ void operator()(double sum) const { *mean = float(sum / (weight ? *weight : rows)); }
};

}  // namespace

template <class T>
void cross_entropy(const CrossEntropyProblem& p, const T* logits, T* dlogits, float* loss,
                   Stream stream, float loss_scale) {
  Scratch weight(p.weights ? sizeof(double) : 0, stream);
  auto* total = weight.data<double>();
  if (p.weights) sum_elements<1>(p.rows, false, LabelWeights{p}, Write{total}, stream);
  Scratch losses(size_t(p.rows) * sizeof(float), stream);
  for_each_row<kPack<T>>(
      p.rows, p.classes, aligned({logits, dlogits}),
      LossOfRow<T>{p, logits, dlogits, total, losses.data<float>(), loss_scale}, stream);
  if (loss)
    sum_elements<4>(p.rows, true, Losses{losses.data<float>()}, Mean{double(p.rows), total, loss},
                    stream);
}

#define GRAFT_CROSS_ENTROPY(T)                                                              \
  template void cross_entropy(const CrossEntropyProblem&, const T*, T*, float*, Stream, float);
GRAFT_FOR_FLOATS(GRAFT_CROSS_ENTROPY)
#undef GRAFT_CROSS_ENTROPY

}  // namespace graft::cuda
