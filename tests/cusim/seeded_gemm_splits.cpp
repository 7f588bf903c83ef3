// The smallest program that adds the parts of a matrix product whose k is split, for seeded.sh, with
// the last step that follows: exact sums, moments within a bound, guarded arrays. Argument: forward,
// reverse or random. Prints PASS, or what is wrong.
#include <array>
#include <cstdlib>

#include "kernels/cuda/gemm.cu"
#include "kernels/cuda/gemm_simt.cu"
#include "tests/cusim/seeded_moments.h"

using namespace graft;
using namespace graft::cuda;

namespace graft::cuda {

// The kernels of tensor cores are not wanted here.
template <class T>
void launch_tensor_gemm(const GemmProblem&, const GemmPlan&, const GemmWork&, int, Stream) {
  std::abort();
}
template <class T>
void launch_wgmma_gemm(const GemmProblem&, const GemmPlan&, const GemmWork&, int, Stream) {
  std::abort();
}

}  // namespace graft::cuda

namespace {

using Floats = cusim::Guarded<float>;

void fill_in(Floats& x, size_t seed) {
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(i * seed % 7) - 3;
}

bool product(size_t m, size_t n, size_t k, int splits) {
  Floats a(m * k), b(k * n), c(m * n), bias(n), residual(m * n);
  fill_in(a, 5), fill_in(b, 3), fill_in(bias, 2), fill_in(residual, 11);
  GemmProblem p{.m = int64_t(m), .n = int64_t(n), .k = int64_t(k)};
  p.a = a.data(), p.a_stride = p.k, p.b = b.data(), p.b_stride = p.n;
  p.c = c.data(), p.c_stride = p.n, p.bias = bias.data();
  p.residual = residual.data(), p.residual_stride = p.n, p.beta = 2;
  p.activation = Activation::relu;
  cusim::Guarded<ChannelMoments> moments((m + kAddedRows - 1) / kAddedRows * n);
  p.moments = moments.data();
  gemm(p, GemmPlan{1, splits}, {});
  synchronize(Stream{});
  std::vector<float> want(m * n);
  for (size_t i = 0; i < want.size(); ++i) {
    float sum = bias[i % n] + 2 * residual[i];
    for (size_t l = 0; l < k; ++l) sum += a[i / n * k + l] * b[l * n + i % n];
    want[i] = std::max(sum, 0.0f);
  }
  return cusim::same("product in parts", c, [&](size_t i) { return want[i]; }) &&
         cusim::right_moments(moments, want, n, kAddedRows);
}

}  // namespace

int main(int count, char** arguments) {
  cusim::take_order(count, arguments);
  bool good = true;
  for (auto [m, n, k] : {std::array<size_t, 3>{9, 72, 300}, {65, 70, 163}, {1, 3, 50}})
    good = good && product(m, n, k, 3);
  if (good) std::puts("PASS");
  return !good;
}
