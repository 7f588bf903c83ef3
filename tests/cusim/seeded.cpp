// The smallest program that runs the kernels of a matrix product, for seeded.sh: exact sums,
// guarded arrays, no bank conflicts. Argument: forward, reverse or random. Prints PASS, or what is
// wrong.
#include <array>
#include <cstdio>

#include "kernels/cuda/gemm_mma.cuh"
#include "kernels/cuda/gemm_simt.cu"
#include "tests/cusim/guarded.h"
#include "tests/cusim/seeded.h"

using namespace graft;
using namespace graft::cuda;

namespace {

constexpr int64_t up_to(int64_t x, int64_t unit) { return (x + unit - 1) / unit * unit; }
float value(int64_t i) { return float(i * 7 % 9) - 4; }

// a (m,k) b (k,n) with the 64 x 64 tile; rows of a and b padded with NaN to 16 bytes
template <class T, class Run>
bool product(const char* name, int64_t m, int64_t n, int64_t k, const Run& run) {
  const int64_t per_copy = 16 / int64_t(sizeof(T));
  GemmProblem p{.m = m, .n = n, .k = k};
  p.a_stride = up_to(k, per_copy), p.b_stride = up_to(n, per_copy), p.c_stride = n;
  cusim::Guarded<T> a(size_t((m - 1) * p.a_stride + k)), b(size_t((k - 1) * p.b_stride + n));
  cusim::Guarded<float> c(size_t(m * n));
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < k; ++j) a[size_t(i * p.a_stride + j)] = T(value(i + 3 * j));
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < n; ++j) b[size_t(i * p.b_stride + j)] = T(value(5 * i + j));
  p.a = a.data(), p.b = b.data(), p.c = c.data();
  run(p, GemmWork{nullptr, split_k(k, 1, 1).length, true, true, n % 4 == 0});
  synchronize(Stream{});
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (int64_t l = 0; l < k; ++l) sum += value(i + 3 * l) * value(5 * l + j);
      if (c[size_t(i * n + j)] == sum) continue;
      std::printf("FAIL %s %dx%dx%d at (%d,%d): %g, expected %g\n", name, int(m), int(n), int(k),
                  int(i), int(j), double(c[size_t(i * n + j)]), double(sum));
      return false;
    }
  if (!c.intact()) std::printf("FAIL %s wrote beside c\n", name);
  return c.intact();
}

}  // namespace

int main(int count, char** arguments) {
  cusim::take_order(count, arguments);
  auto bf16 = [](const GemmProblem& p, const GemmWork& work) {
    launch_mma<__nv_bfloat16, 2, true, false>(p, work, 1, {});
  };
  auto simt = [](const GemmProblem& p, const GemmWork& work) {
    launch_simt_gemm(p, {1, 1}, work, 1, {});
  };
  bool good = true;
  for (auto [m, n, k] : {std::array<int64_t, 3>{64, 64, 32}, {65, 70, 163}, {1, 8, 300}})
    good = good && product<__nv_bfloat16>("bf16", m, n, k, bf16) &&
           product<float>("f32", m, n, k, simt);
  if (good && cusim::stats.bank_conflicts) {
    std::printf("FAIL %llu bank conflicts\n", (unsigned long long)cusim::stats.bank_conflicts);
    good = false;
  }
  if (good) std::puts("PASS");
  return !good;
}
