#include "models/ridge_path.h"

#include <cmath>

#include "kernels/parallel.h"

namespace graft {
namespace {

std::vector<double> transposed(const std::vector<double>& a, int64_t rows, int64_t columns) {
  std::vector<double> t(a.size());
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) t[size_t(j * rows + i)] = a[size_t(i * columns + j)];
  return t;
}

// a (m,c) b^T, b (n,c) -> (m,n).
std::vector<double> products(const std::vector<double>& a, int64_t m, const std::vector<double>& b,
                             int64_t n) {
  constexpr int64_t kColumns = 8;  // of b, side by side, for each row of a
  const int64_t c = int64_t(a.size()) / m;
  std::vector<double> y(size_t(m * n));
  cpu::parallel_for(m, 8, [&](int64_t begin, int64_t end) {
    for (int64_t j = 0; j < n; j += kColumns)
      for (int64_t i = begin; i < end; ++i)
        for (int64_t k = j; k < std::min(j + kColumns, n); ++k) {
          const double *p = &a[size_t(i * c)], *q = &b[size_t(k * c)];
          double sums[4] = {};
          int64_t l = 0;
          for (; l + 4 <= c; l += 4)
            for (int64_t s = 0; s < 4; ++s) sums[s] += p[l + s] * q[l + s];
          for (; l < c; ++l) sums[0] += p[l] * q[l];
          y[size_t(i * n + k)] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        }
  });
  return y;
}

std::vector<double> identity(int64_t n) {
  std::vector<double> one(size_t(n * n), 0.0);
  for (int64_t i = 0; i < n; ++i) one[size_t(i * n + i)] = 1;
  return one;
}

Tridiagonal gram_of(const std::vector<double>& features, int64_t n, int64_t d, bool by_rows) {
  if (by_rows) return Tridiagonal(products(features, n, features, n), n);
  const std::vector<double> columns = transposed(features, n, d);
  return Tridiagonal(products(columns, d, columns, d), d);
}

}  // namespace

RidgePath::RidgePath(std::vector<double> features, int64_t n, std::vector<double> targets,
                     bool centred)
    : n_(n),
      d_(int64_t(features.size()) / n),
      k_(int64_t(targets.size()) / n),
      centred_(centred),
      by_rows_(n_ < d_),
      features_(std::move(features)),
      targets_(std::move(targets)),
      means_(size_t(k_), 0.0),
      gram_(gram_of(features_, n_, d_, by_rows_)) {
  for (int64_t i = 0; centred && i < n_ * k_; ++i)
    means_[size_t(i % k_)] += targets_[size_t(i)] / double(n_);
  for (int64_t i = 0; i < n_ * k_; ++i) targets_[size_t(i)] -= means_[size_t(i % k_)];
  right_side_ = transposed(targets_, n_, k_);
  if (!by_rows_) right_side_ = products(right_side_, k_, transposed(features_, n_, d_), d_);
  gram_.rotate(right_side_);
  rotated_ = by_rows_ ? identity(n_) : features_;
  gram_.rotate(rotated_);
}

// From the solution of the rotated system, (K,n).
std::vector<double> RidgePath::weights_of(std::vector<double> solution) const {
  gram_.rotate_back(solution);
  if (!by_rows_) return solution;
  return products(solution, k_, transposed(features_, n_, d_), d_);
}

std::optional<RidgePath::Fit> RidgePath::fit(double penalty, bool with_weights) const {
  const Tridiagonal::Factors factors = gram_.factors(penalty);
  if (!factors.positive) return {};
  const size_t width = size_t(gram_.n()), k = size_t(k_);
  std::vector<double> solution = right_side_;
  for (size_t c = 0; c < k; ++c) factors.solve(std::span(solution).subspan(c * width, width));
  Fit fit{{}, means_, products(rotated_, n_, solution, k_)};
  for (size_t i = 0; i < size_t(n_); ++i) {
    const double energy = factors.energy(std::span(rotated_).subspan(i * width, width));
    const double rest =
        (by_rows_ ? penalty * energy : 1 - energy) - (centred_ ? 1 / double(n_) : 0);
    if (!(rest > 1e-12)) return {};
    for (size_t c = 0; c < k; ++c) {
      double& value = fit.left_out[i * k + c];
      const double target = targets_[i * k + c];
      const double residual = by_rows_ ? penalty * value : target - value;
      value = target + means_[c] - residual / rest;
    }
  }
  if (with_weights) fit.weights = weights_of(std::move(solution));
  return fit;
}

}  // namespace graft
