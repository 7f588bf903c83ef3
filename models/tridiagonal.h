// A symmetric matrix as Q T Q^T, T tridiagonal, by Householder reflections (Golub & Van Loan,
// Matrix Computations, 4th edition, section 8.3.1): what an eigen-decomposition begins with, and as
// far as systems with A + l I for many l need to go, each then costs O(n). float64; the same bits
// on any number of threads.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace graft {

class Tridiagonal {
 public:
  Tridiagonal(std::vector<double> a, int64_t n);  // a (n,n), both halves
  int64_t n() const { return n_; }

  void rotate(std::span<double> rows) const;       // every row r of (m,n) becomes r Q
  void rotate_back(std::span<double> rows) const;  // and r Q^T

  // T + l I = L D L^T, L bidiagonal with ones.
  struct Factors {
    std::vector<double> lower, pivots;
    bool positive;  // all pivots, by more than rounding: otherwise there is no solution to trust
    void solve(std::span<double> x) const;           // x := (T + l I)^-1 x
    double energy(std::span<const double> x) const;  // x^T (T + l I)^-1 x
  };
  Factors factors(double l) const;

 private:
  void reflect(int64_t k, std::span<double> rows) const;

  int64_t n_;
  std::vector<double> a_;  // row k holds the reflector of step k from its column k + 1 on
  std::vector<double> diagonal_, beside_, beta_;
};

}  // namespace graft
