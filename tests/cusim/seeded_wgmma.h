// A matrix product with wgmma for the programs of seeded.sh: exact sums, guarded arrays. False
// where something is wrong, and that is printed.
#pragma once
#include <cstdio>

#include "kernels/cuda/gemm_wgmma.cuh"
#include "tests/cusim/guarded.h"
#include "tests/cusim/seeded.h"

namespace graft::cuda {

using Values = cusim::Guarded<__nv_bfloat16>;

constexpr int64_t up_to_eight(int64_t x) { return (x + 7) / 8 * 8; }
inline float a_at(int64_t m, int64_t k) { return float((m * 7 + k * 3) % 9 - 4); }
inline float b_at(int64_t k, int64_t n) { return float((n * 5 + k * 2) % 7 - 3); }

// One operand, stored (outer,depth) or (depth,outer), rows padded with NaN to 16 bytes.
struct Operand16 {
  int64_t outer, depth, stride;
  bool depth_contiguous;
  Values values;

  template <class At>
  Operand16(int64_t outer, int64_t depth, bool depth_contiguous, const At& at)
      : outer(outer),
        depth(depth),
        stride(up_to_eight(depth_contiguous ? depth : outer)),
        depth_contiguous(depth_contiguous),
        values(place(outer - 1, depth - 1) + 1) {
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t d = 0; d < depth; ++d) values[place(o, d)] = __nv_bfloat16(at(o, d));
  }
  size_t place(int64_t o, int64_t d) const {
    return size_t(depth_contiguous ? o * stride + d : d * stride + o);
  }
};

template <int kTile, bool kDepthA, bool kDepthB>
bool product(int64_t m, int64_t n, int64_t k) {
  GemmProblem p{.math = GemmMath::bf16, .transpose_a = !kDepthA, .transpose_b = kDepthB};
  p.m = m, p.n = n, p.k = k, p.c_stride = n;
  const Operand16 a(m, k, kDepthA, a_at);
  const Operand16 b(n, k, kDepthB, [](int64_t column, int64_t row) { return b_at(row, column); });
  cusim::Guarded<float> c(size_t(m * n));
  p.a = a.values.data(), p.a_stride = a.stride, p.b = b.values.data(), p.b_stride = b.stride;
  p.c = c.data();
  launch_wgmma<__nv_bfloat16, kTile, kDepthA, kDepthB>(
      p, GemmWork{nullptr, split_k(k, 64, 1).length, true, true, n % 4 == 0}, 1, {});
  synchronize(Stream{});
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (int64_t l = 0; l < k; ++l) sum += a_at(i, l) * b_at(l, j);
      const float got = c[size_t(i * n + j)];
      if (got == sum) continue;
      std::printf("FAIL wgmma %dx%dx%d at (%d,%d): %g, expected %g\n", int(m), int(n), int(k),
                  int(i), int(j), double(got), double(sum));
      return false;
    }
  if (!c.intact()) std::printf("FAIL wgmma wrote beside c\n");
  return c.intact();
}

}  // namespace graft::cuda
