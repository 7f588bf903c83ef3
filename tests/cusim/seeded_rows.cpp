// The smallest program that runs the kernels of rows, for seeded.sh: layer normalisation, softmax,
// cross-entropy, each with its gradients; by warps and by blocks. Argument: forward, reverse or
// random. Prints PASS, or what is wrong.
#include <array>
#include <vector>

#include "tests/cusim/seeded_f32.h"
#include "kernels/cuda/cross_entropy.cu"
#include "kernels/cuda/layer_norm.cu"
#include "kernels/cuda/softmax.cu"
#include "tests/cusim/seeded.h"

using namespace graft;
using namespace graft::cuda;
using cusim::same;

namespace {

using Floats = cusim::Guarded<float>;
constexpr double kBound = 1e-5;

struct Case {
  size_t rows, length;
  Floats x, dy;  // (rows, length)

  Case(size_t rows, size_t length) : rows(rows), length(length), x(rows * length), dy(x.size()) {
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = float(i * 5 % 11) + 3 * float(i / length);
      dy[i] = float(i * 3 % 7) - 2;
    }
  }
  // Over the elements of a row; each gets the index of its element.
  template <class Of>
  double sum(size_t row, const Of& of) const {
    double sum = 0;
    for (size_t i = row * length; i < (row + 1) * length; ++i) sum += double(of(i));
    return sum;
  }
};

bool layer_norms(const Case& c) {
  const LayerNormProblem p{int64_t(c.rows), int64_t(c.length), 0.5f};
  Floats gamma(c.length), beta(c.length), y(c.x.size()), mean(c.rows), rstd(c.rows);
  Floats dx(c.x.size()), dgamma(c.length), dbeta(c.length);
  for (size_t j = 0; j < c.length; ++j) gamma[j] = float(j % 3 + 1), beta[j] = float(j % 5) - 2;
  layer_norm(p, c.x.data(), gamma.data(), beta.data(), y.data(), mean.data(), rstd.data(), {});
  layer_norm_backward(p, c.x.data(), gamma.data(), mean.data(), rstd.data(), c.dy.data(),
                      {dx.data(), dgamma.data(), dbeta.data()}, {});
  synchronize(Stream{});

  std::vector<double> m, r, slopes, means;  // of the rows
  const auto n = double(c.length);
  auto xhat = [&](size_t i) { return (double(c.x[i]) - m[i / c.length]) * r[i / c.length]; };
  auto g = [&](size_t i) { return double(c.dy[i] * gamma[i % c.length]); };
  for (size_t row = 0; row < c.rows; ++row) {
    m.push_back(c.sum(row, [&](size_t i) { return c.x[i]; }) / n);
    const double spread =
        c.sum(row, [&](size_t i) { return std::pow(double(c.x[i]) - m[row], 2); });
    r.push_back(1 / std::sqrt(spread / n + double(p.eps)));
    means.push_back(c.sum(row, g) / n);
    slopes.push_back(c.sum(row, [&](size_t i) { return g(i) * xhat(i); }) / n);
  }
  auto over_rows = [&](size_t j, const auto& of) {
    double sum = 0;
    for (size_t row = 0; row < c.rows; ++row) sum += of(row * c.length + j);
    return sum;
  };
  return same("layer norm's mean", mean, [&](size_t row) { return m[row]; }, kBound) &&
         same("layer norm's rstd", rstd, [&](size_t row) { return r[row]; }, kBound) &&
         same("layer norm", y, [&](size_t i) {
           return xhat(i) * double(gamma[i % c.length]) + double(beta[i % c.length]);
         }, kBound) &&
         same("layer norm's dbeta", dbeta, [&](size_t j) {
           return over_rows(j, [&](size_t i) { return double(c.dy[i]); });
         }) &&
         same("layer norm's dgamma", dgamma, [&](size_t j) {
           return over_rows(j, [&](size_t i) { return double(c.dy[i]) * xhat(i); });
         }, kBound) &&
         same("layer norm's dx", dx, [&](size_t i) {
           const size_t row = i / c.length;
           return r[row] * (g(i) - means[row] - xhat(i) * slopes[row]);
         }, kBound);
}

double exponential(const Case& c, size_t i) { return std::exp(double(c.x[i])); }

double softmax_of(const Case& c, size_t i) {
  return exponential(c, i) / c.sum(i / c.length, [&](size_t j) { return exponential(c, j); });
}

bool softmaxes(const Case& c) {
  Floats y(c.x.size()), dx(c.x.size());
  softmax(int64_t(c.rows), int64_t(c.length), c.x.data(), y.data(), {});
  softmax_backward(int64_t(c.rows), int64_t(c.length), y.data(), c.dy.data(), dx.data(), {});
  synchronize(Stream{});
  return same("softmax", y, [&](size_t i) { return softmax_of(c, i); }, kBound) &&
         same("softmax's gradient", dx, [&](size_t i) {
           const double inner = c.sum(i / c.length, [&](size_t j) { return y[j] * c.dy[j]; });
           return double(y[i]) * (double(c.dy[i]) - inner);
         }, kBound);
}

bool cross_entropies(const Case& c, float smoothing) {
  cusim::Guarded<int32_t> labels(c.rows);
  Floats weights(c.length), dx(c.x.size()), loss(1);
  for (size_t row = 0; row < c.rows; ++row)
    labels[row] = int32_t(row % 2 ? c.length - 1 - row : row);
  for (size_t j = 0; j < c.length; ++j) weights[j] = float(j % 3 + 1);
  const CrossEntropyProblem p{int64_t(c.rows), int64_t(c.length), labels.data(), weights.data(),
                              smoothing};
  const float loss_scale = 64;
  cross_entropy(p, c.x.data(), dx.data(), loss.data(), {}, loss_scale);
  synchronize(Stream{});

  auto target = [&](size_t i) {
    const size_t j = i % c.length, label = size_t(labels[i / c.length]);
    return double(smoothing / float(c.length) * weights[j]) +
           (j == label ? double((1 - smoothing) * weights[j]) : 0);
  };
  double all = 0, weight = 0;
  for (size_t row = 0; row < c.rows; ++row) {
    weight += double(weights[size_t(labels[row])]);
    const double total = c.sum(row, [&](size_t j) { return exponential(c, j); });
    all += c.sum(row, [&](size_t i) { return target(i) * (std::log(total) - double(c.x[i])); });
  }
  return same("cross-entropy", loss, [&](size_t) { return all / weight; }, kBound) &&
         same("cross-entropy's gradient", dx, [&](size_t i) {
           const double targets = c.sum(i / c.length, target);
           return double(loss_scale) * (softmax_of(c, i) * targets - target(i)) / weight;
         }, kBound);
}

}  // namespace

int main(int count, char** arguments) {
  cusim::take_order(count, arguments);
  bool good = true;
  // Warps with vectors and without, one block and one row more; blocks.
  for (auto [rows, length] : {std::array<size_t, 2>{8, 36}, {9, 37}, {3, 1028}, {2, 1025}}) {
    const Case c(rows, length);
    good = good && layer_norms(c) && softmaxes(c) && cross_entropies(c, 0) &&
           cross_entropies(c, 0.25f);
  }
  if (good) std::puts("PASS");
  return !good;
}
