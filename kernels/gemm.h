// Row-major matrix product in f32.
#pragma once
#include <cstdint>

namespace graft::cpu {

struct Rows {  // of a matrix that is part of a wider one
  const float* data;
  int64_t stride;  // floats from row to row
};

// c (m,n) = alpha op(a) (m,k) op(b) (k,n) + beta c; op transposes where asked, so that a transposed
// a is stored (k,m). c must not overlap a or b.
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, Rows a,
          Rows b, float beta, float* c, int64_t c_stride);
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
          const float* a, const float* b, float beta, float* c);

}  // namespace graft::cpu
