// Ridge regression for any penalty, with what each row would get from a fit without it. One
// decomposition, of the smaller of F^T F and F F^T, serves all penalties. float64.
//
// Rows f_i of F (N,D) have targets y_i of Y (N,K). With `centred` the fit has a constant that is
// not penalised, and the columns of F have mean 0; Y is centred here. W = (F^T F + l I)^-1 F^T Y.
// Without row i the fit gives it y_i - (y_i - yhat_i) / (1 - h_i), where h_i = f_i (F^T F + l I)^-1
// f_i^T
// + 1/N (the constant's): exact, not an estimate (Allen, Technometrics 1974; Golub, Heath & Wahba,
// Technometrics 1979). From F F^T instead: a = (F F^T + l I)^-1 Y, W = F^T a, y_i - yhat_i = l a_i
// and 1 - h_i = l ((F F^T + l I)^-1)_ii - 1/N.
#pragma once
#include <optional>

#include "models/tridiagonal.h"

namespace graft {

class RidgePath {
 public:
  RidgePath(std::vector<double> features, int64_t n, std::vector<double> targets, bool centred);

  struct Fit {
    std::vector<double> weights;   // (K,D)
    std::vector<double> constant;  // (K): the means of the targets, 0 where not centred
    std::vector<double> left_out;  // (N,K): what each row is given without it
  };
  // Nothing where the penalty is so small that the system is singular in float64.
  std::optional<Fit> fit(double penalty, bool with_weights) const;

  int64_t n() const { return n_; }
  int64_t d() const { return d_; }
  int64_t k() const { return k_; }

 private:
  std::vector<double> weights_of(std::vector<double> solution) const;

  int64_t n_, d_, k_;
  bool centred_, by_rows_;  // F F^T was decomposed
  std::vector<double> features_, targets_, means_;
  Tridiagonal gram_;
  std::vector<double> rotated_;     // F Q (N,D), or Q (N,N)
  std::vector<double> right_side_;  // (K,n): (F^T Y)^T Q, or Y^T Q
};

}  // namespace graft
