// The smallest program that adds the parts of convolutions whose depth is split, for seeded.sh, and
// what fprop notes meanwhile: exact sums, moments within a bound, guarded arrays. Argument: forward,
// reverse or random. Prints PASS, or what is wrong.
#include <cstdlib>
#include <vector>

#include "kernels/cuda/conv2d.cu"
#include "kernels/cuda/conv2d_simt.cu"
#include "tests/cusim/seeded_conv.h"
#include "tests/cusim/seeded_moments.h"

using namespace graft;
using namespace graft::cuda;
using cusim::same;

namespace graft::cuda {

// The other kernels are not wanted here.
template <class T>
void launch_tensor_conv(ConvPass, const ConvWork&, const GemmPlan&, bool, int, Stream) {
  std::abort();
}
template <class T>
void launch_wgmma_conv(ConvPass, const ConvWork&, const GemmPlan&, int, Stream) {
  std::abort();
}
GemmDevice gemm_device() { return {multiprocessors(), false}; }
bool is_depthwise(const Conv2dProblem&) { return false; }
void launch_depthwise(ConvPass, GemmMath, const ConvWork&, Stream) { std::abort(); }

}  // namespace graft::cuda

namespace {

using Floats = cusim::Guarded<float>;

void fill_in(Floats& x, size_t seed) {
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(i * seed % 7) - 3;
}

bool run(const Conv2dProblem& p) {
  const size_t rows = size_t(p.n * p.out_h() * p.out_w()), channels = size_t(p.k);
  Floats x(size_t(p.n * p.h * p.w * p.c)), w(size_t(p.k * p.r * p.s * p.c)), dy(rows * channels);
  Floats y(dy.size()), dx(x.size()), dw(w.size());
  cusim::Guarded<ChannelMoments> moments((rows + kAddedRows - 1) / kAddedRows * channels);
  fill_in(x, 5), fill_in(w, 3), fill_in(dy, 11);
  auto pass = [](ConvPass pass, ConvWork work) {
    work.out_type = DType::f32;
    conv2d(pass, GemmMath::f32, work, GemmPlan{1, 3}, {});
  };
  pass(ConvPass::fprop, {.problem = p, .a = x.data(), .b = w.data(), .out = y.data(),
                         .moments = moments.data()});
  pass(ConvPass::dgrad, {.problem = p, .a = dy.data(), .b = w.data(), .out = dx.data()});
  pass(ConvPass::wgrad, {.problem = p, .a = dy.data(), .b = x.data(), .out = dw.data()});
  synchronize(Stream{});

  std::vector<float> want_y(y.size()), want_dx(x.size()), want_dw(w.size());
  each_product(p, [&](size_t at_y, size_t at_x, size_t at_w) {
    want_y[at_y] += x[at_x] * w[at_w];
    want_dx[at_x] += dy[at_y] * w[at_w];
    want_dw[at_w] += dy[at_y] * x[at_x];
  });
  return same("fprop in parts", y, [&](size_t i) { return want_y[i]; }) &&
         same("dgrad in parts", dx, [&](size_t i) { return want_dx[i]; }) &&
         same("wgrad in parts", dw, [&](size_t i) { return want_dw[i]; }) &&
         cusim::right_moments(moments, want_y, channels, kAddedRows);
}

}  // namespace

int main(int count, char** arguments) {
  cusim::take_order(count, arguments);
  Conv2dProblem p{.n = 2, .h = 7, .w = 9, .c = 22, .k = 41, .r = 3, .s = 3};
  p.stride_h = p.stride_w = 2;
  p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = 1;
  const bool good = run(p);
  if (good) std::puts("PASS");
  return !good;
}
