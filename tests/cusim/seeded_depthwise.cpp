// The smallest program that runs the three passes of a depthwise convolution, for seeded.sh: exact
// sums, guarded arrays. Argument: forward, reverse or random. Prints PASS, or what is wrong.
#include <vector>

#include "kernels/cuda/conv2d_depthwise.cu"
#include "tests/cusim/seeded.h"

using namespace graft;
using namespace graft::cuda;

namespace {

using Floats = cusim::Guarded<float>;

void fill_in(Floats& x, size_t seed) {
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(i * seed % 7) - 3;
}

bool run(const Conv2dProblem& p) {
  Floats x(size_t(p.n * p.h * p.w * p.c)), w(size_t(p.c * p.r * p.s));
  Floats dy(size_t(p.n * p.out_h() * p.out_w() * p.c));
  Floats y(dy.size()), dx(x.size()), dw(w.size());
  fill_in(x, 5), fill_in(w, 3), fill_in(dy, 11);
  auto pass = [&](ConvPass pass, const Floats& a, const Floats& b, Floats& out) {
    ConvWork c{.problem = p, .a = a.data(), .b = b.data(), .out = out.data()};
    c.out_type = DType::f32;
    c.grid = pass == ConvPass::dgrad ? PixelGrid(p.n, p.h, p.w)
                                     : PixelGrid(p.n, p.out_h(), p.out_w());
    launch_type<float>(pass, c, {});
  };
  pass(ConvPass::fprop, x, w, y);
  pass(ConvPass::dgrad, dy, w, dx);
  pass(ConvPass::wgrad, dy, x, dw);
  synchronize(Stream{});

  std::vector<float> want_y(y.size()), want_dx(x.size()), want_dw(w.size());
  for (int64_t n = 0, at = 0; n < p.n; ++n)
    for (int64_t i = 0; i < p.out_h(); ++i)
      for (int64_t j = 0; j < p.out_w(); ++j)
        for (int64_t c = 0; c < p.c; ++c, ++at)
          for (int64_t tap = 0; tap < p.r * p.s; ++tap) {
            const int64_t row = i * p.stride_h - p.pad_top + tap / p.s;
            const int64_t column = j * p.stride_w - p.pad_left + tap % p.s;
            if (row < 0 || row >= p.h || column < 0 || column >= p.w) continue;
            const auto from = size_t(((n * p.h + row) * p.w + column) * p.c + c);
            const auto of = size_t(c * p.r * p.s + tap);
            want_y[size_t(at)] += x[from] * w[of];
            want_dx[from] += dy[size_t(at)] * w[of];
            want_dw[of] += dy[size_t(at)] * x[from];
          }
  return cusim::same("fprop", y, [&](size_t i) { return want_y[i]; }) &&
         cusim::same("dgrad", dx, [&](size_t i) { return want_dx[i]; }) &&
         cusim::same("wgrad", dw, [&](size_t i) { return want_dw[i]; });
}

}  // namespace

int main(int count, char** arguments) {
  cusim::take_order(count, arguments);
  Conv2dProblem p{.n = 2, .h = 7, .w = 9, .c = 33, .k = 33, .r = 3, .s = 5, .groups = 33};
  p.stride_h = p.stride_w = 2;
  p.pad_top = p.pad_bottom = 1, p.pad_left = p.pad_right = 2;
  const bool good = run(p);
  if (good) std::puts("PASS");
  return !good;
}
