// Matrix products by oneDNN's sgemm, which packs its operands as it goes. Measured: a linear layer
// of 2048 inputs and 1000 outputs, batch 8, at 77 GFLOP/s forward and 161 and 171 for its gradients
// (bench/RESULTS.md, Operations); frozen matrices therefore run as 1x1 convolutions, packed once.
#include "kernels/gemm.h"

#include <dnnl.h>

#include <stdexcept>

namespace graft::cpu {

void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, Rows a,
          Rows b, float beta, float* c, int64_t c_stride) {
  if (m == 0 || n == 0) return;
  dnnl_status_t status =
      dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, alpha, a.data, a.stride,
                 b.data, b.stride, beta, c, c_stride);
  if (status != dnnl_success) throw std::runtime_error("gemm: oneDNN refused the problem");
}

void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
          const float* a, const float* b, float beta, float* c) {
  gemm(transpose_a, transpose_b, m, n, k, alpha, {a, transpose_a ? m : k}, {b, transpose_b ? k : n},
       beta, c, n);
}

}  // namespace graft::cpu
