// The smallest program that runs the first layer, on bytes, for seeded.sh: in bf16 and in f32, exact
// sums, guarded arrays; more tiles than blocks. Argument: forward, reverse or random. Prints PASS, or
// what is wrong.
#include "kernels/cuda/conv2d_first.cu"
#include "tests/cusim/seeded.h"

using namespace graft;
using namespace graft::cuda;

namespace graft::cuda {

// As conv2d.cu, whose kernels are not wanted here.
ConvWork fprop_work(const Conv2dProblem& p, const void* x, const void* w, const ConvLastStep&,
                    void* y, DType y_type) {
  return {.problem = p, .a = x, .b = w, .out = y, .out_type = y_type};
}
ConvWork conv_work(ConvPass, GemmMath, ConvWork c) {
  const Conv2dProblem& p = c.problem;
  c.grid = PixelGrid(p.n, p.out_h(), p.out_w()), c.by_channels = Divider(p.c);
  c.parts = 1, c.most_m = c.grid.size(), c.n = int(p.k);
  return c;
}

}  // namespace graft::cuda

namespace {

constexpr Normalization kCentred{1, {1, 2, 3}, {1, 1, 1}, true};

template <class T>
bool run(GemmMath math, Conv2dProblem p, int stride) {
  p.stride_h = p.stride_w = stride;
  p.pad_top = p.pad_bottom = p.pad_left = p.pad_right = 1;
  cusim::Guarded<uint8_t> x(size_t(p.n * p.h * p.w * 3));
  cusim::Guarded<T> w(size_t(p.k * p.r * p.s * 3));
  cusim::Guarded<float> y(size_t(p.n * p.out_h() * p.out_w() * p.k));
  for (size_t i = 0; i < x.size(); ++i) x[i] = uint8_t(i * 5 % 7);
  for (size_t i = 0; i < w.size(); ++i) w[i] = T(float(i * 3 % 5) - 2);
  conv2d_first(math, p, x.data(), kCentred, w.data(), {}, y.data(), DType::f32, {});
  synchronize(Stream{});
  return cusim::same("first layer", y, [&](size_t i) {
    const auto at = int64_t(i), k = at % p.k, j = at / p.k % p.out_w();
    const auto down = at / p.k / p.out_w() % p.out_h(), n = at / p.k / p.out_w() / p.out_h();
    float sum = 0;
    for (int64_t r = 0; r < p.r; ++r)
      for (int64_t s = 0; s < p.s; ++s) {
        const int64_t row = down * stride - 1 + r, column = j * stride - 1 + s;
        if (row < 0 || row >= p.h || column < 0 || column >= p.w) continue;
        for (int64_t c = 0; c < 3; ++c)
          sum += (float(x[size_t(((n * p.h + row) * p.w + column) * 3 + 2 - c)]) - float(c + 1)) *
                 float(w[size_t(((k * p.r + r) * p.s + s) * 3 + c)]);
      }
    return sum;
  });
}

}  // namespace

int main(int count, char** arguments) {
  cusim::take_order(count, arguments);
  const Conv2dProblem p{.n = 1, .h = 34, .w = 65, .c = 3, .k = 66, .r = 3, .s = 3};  // 3 x 3 tiles
  const Conv2dProblem small{.n = 2, .h = 9, .w = 9, .c = 3, .k = 37, .r = 3, .s = 3};
  const bool good = run<__nv_bfloat16>(GemmMath::bf16, p, 2) &&
                    run<__nv_bfloat16>(GemmMath::bf16, small, 1) &&
                    run<float>(GemmMath::f32, small, 2);
  if (good) std::puts("PASS");
  return !good;
}
