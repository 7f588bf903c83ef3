// The result of a batch norm on a CUDA device that is made when it is first read, and what of: a
// pointwise convolution in 16 bits takes what was normalised, and normalises it on its way into its
// kernels; and one whose input it was can begin its gradient (core/norm_sums.h).
#pragma once
#include "core/tensor.h"
#include "kernels/norm.h"

namespace graft {

struct Norm {
  Tensor mean, rstd, gamma, beta;  // (C); the last two may be undefined
  Activation activation;
  bool trains_statistics;

  NormProblem problem(const Tensor& like) const;  // of a tensor of that shape and device
};

struct NormSource {
  Tensor x;  // (..., C)
  Norm norm;
  uint64_t version;  // of gamma and beta together

  NormProblem problem() const;  // throws where they have changed
};

Tensor normalized_when_read(const Tensor& x, const Norm& norm);
// What all values of y are to be made of; null where it is nothing of the kind, or they are there.
const NormSource* norm_source(const Tensor& y);
// The same of values that may be there.
const NormSource* norm_behind(const Tensor& y);

}  // namespace graft
