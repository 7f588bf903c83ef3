#include "models/tridiagonal.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/parallel.h"

namespace graft {
namespace {

// Rows for one thread: of so many products that starting it pays.
int64_t grain_of(int64_t columns) { return std::max<int64_t>(16, (1 << 16) / columns); }

double dot(const double* a, const double* b, int64_t n) {
  double sums[4] = {};  // in this order on every machine
  int64_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (int64_t j = 0; j < 4; ++j) sums[j] += a[i + j] * b[i + j];
  for (; i < n; ++i) sums[0] += a[i] * b[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// x becomes v with (I - beta v v^T) x = (-+|x|, 0, ...); -> beta and that first value.
std::pair<double, double> reflector(double* x, int64_t n) {
  const double length = std::sqrt(dot(x, x, n));
  if (length == 0) return {0, 0};
  const double first = x[0] > 0 ? -length : length;
  x[0] -= first;
  return {2 / dot(x, x, n), first};
}

}  // namespace

Tridiagonal::Tridiagonal(std::vector<double> a, int64_t n)
    : n_(n), a_(std::move(a)), diagonal_(size_t(n)), beside_(size_t(n)), beta_(size_t(n)) {
  std::vector<double> w(size_t(n), 0.0);
  auto row = [&](int64_t i) { return a_.data() + i * n_; };
  for (int64_t k = 0; k < n; ++k) {
    const int64_t first = k + 1, rest = n - first;
    diagonal_[size_t(k)] = row(k)[k];
    if (rest == 0) break;
    double* v = row(k) + first;
    auto [beta, value] = reflector(v, rest);
    beta_[size_t(k)] = beta, beside_[size_t(k)] = value;
    // A := H A H = A - v w^T - w v^T, w = p - beta/2 (p^T v) v, p = beta A v.
    cpu::parallel_for(rest, grain_of(rest), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        w[size_t(i)] = beta * dot(row(first + i) + first, v, rest);
    });
    const double half = beta / 2 * dot(w.data(), v, rest);
    for (int64_t i = 0; i < rest; ++i) w[size_t(i)] -= half * v[i];
    cpu::parallel_for(rest, grain_of(rest), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        double* to = row(first + i) + first;
        const double vi = v[i], wi = w[size_t(i)];
        for (int64_t j = 0; j < rest; ++j) to[j] -= vi * w[size_t(j)] + wi * v[j];
      }
    });
  }
}

void Tridiagonal::reflect(int64_t k, std::span<double> rows) const {
  const int64_t first = k + 1, rest = n_ - first;
  const double* v = a_.data() + k * n_ + first;
  for (double* r = rows.data(); r < rows.data() + rows.size(); r += n_) {
    const double share = beta_[size_t(k)] * dot(r + first, v, rest);
    for (int64_t j = 0; j < rest; ++j) r[first + j] -= share * v[j];
  }
}

// Some rows at a time, so that they and one reflector stay in the cache.
template <class Reflect>
static void in_blocks(std::span<double> rows, int64_t n, const Reflect& body) {
  constexpr int64_t kRows = 16;
  const int64_t count = int64_t(rows.size()) / n, blocks = (count + kRows - 1) / kRows;
  cpu::parallel_for(blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t from = b * kRows, to = std::min(from + kRows, count);
      body(rows.subspan(size_t(from * n), size_t((to - from) * n)));
    }
  });
}

void Tridiagonal::rotate(std::span<double> rows) const {
  in_blocks(rows, n_, [&](std::span<double> block) {
    for (int64_t k = 0; k + 1 < n_; ++k) reflect(k, block);
  });
}

void Tridiagonal::rotate_back(std::span<double> rows) const {
  in_blocks(rows, n_, [&](std::span<double> block) {
    for (int64_t k = n_ - 2; k >= 0; --k) reflect(k, block);
  });
}

Tridiagonal::Factors Tridiagonal::factors(double l) const {
  Factors f{std::vector<double>(size_t(n_)), std::vector<double>(size_t(n_)), true};
  double largest = 0;
  for (double d : diagonal_) largest = std::max(largest, std::abs(d));
  const double least = (largest + l) * double(n_) * std::numeric_limits<double>::epsilon();
  for (size_t i = 0; i < size_t(n_); ++i) {
    f.pivots[i] = diagonal_[i] + l;
    if (i > 0) {
      f.lower[i] = beside_[i - 1] / f.pivots[i - 1];
      f.pivots[i] -= f.lower[i] * beside_[i - 1];
    }
    if (!(f.pivots[i] > least)) f.positive = false;
  }
  return f;
}

void Tridiagonal::Factors::solve(std::span<double> x) const {
  const size_t n = pivots.size();
  for (size_t i = 1; i < n; ++i) x[i] -= lower[i] * x[i - 1];
  for (size_t i = 0; i < n; ++i) x[i] /= pivots[i];
  for (size_t i = n - 1; i > 0; --i) x[i - 1] -= lower[i] * x[i];
}

double Tridiagonal::Factors::energy(std::span<const double> x) const {
  double sum = 0, u = 0;
  for (size_t i = 0; i < pivots.size(); ++i) {
    u = i > 0 ? x[i] - lower[i] * u : x[i];
    sum += u * u / pivots[i];
  }
  return sum;
}

}  // namespace graft
