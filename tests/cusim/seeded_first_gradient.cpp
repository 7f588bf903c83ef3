// The smallest program that runs the gradient of the first layer's filters, on bytes, for
// seeded.sh: in bf16 and in f32, exact sums, guarded arrays; more tiles than blocks. Argument:
// forward, reverse or random. Prints PASS, or what is wrong.
#include <vector>

#include "kernels/cuda/conv2d_first_wgrad.cu"
#include "tests/cusim/seeded.h"

using namespace graft;
using namespace graft::cuda;

namespace graft::cuda {

// As conv2d.cu, whose kernels are not wanted here.
ConvWork conv_work(ConvPass, GemmMath, ConvWork c) { return c; }

}  // namespace graft::cuda

namespace {

constexpr Normalization kCentred{1, {1, 2, 3}, {1, 1, 1}, true};

template <class T>
bool run(GemmMath math, Conv2dProblem p, int stride) {
  p.stride_h = p.stride_w = stride;
  p.pad_top = p.pad_bottom = p.pad_left = p.pad_right = 1;
  cusim::Guarded<uint8_t> x(size_t(p.n * p.h * p.w * 3));
  cusim::Guarded<T> dy(size_t(p.n * p.out_h() * p.out_w() * p.k));
  cusim::Guarded<float> dw(size_t(p.k * p.r * p.s * 3));
  for (size_t i = 0; i < x.size(); ++i) x[i] = uint8_t(i * 5 % 7);
  for (size_t i = 0; i < dy.size(); ++i) dy[i] = T(float(i * 3 % 5) - 2);
  conv2d_first_wgrad(math, p, x.data(), kCentred, dy.data(), dw.data(), {});
  synchronize(Stream{});

  std::vector<float> want(dw.size());
  for (int64_t n = 0, at = 0; n < p.n; ++n)
    for (int64_t i = 0; i < p.out_h(); ++i)
      for (int64_t j = 0; j < p.out_w(); ++j)
        for (int64_t k = 0; k < p.k; ++k, ++at)
          for (int64_t tap = 0; tap < p.r * p.s; ++tap) {
            const int64_t row = i * stride - 1 + tap / p.s, column = j * stride - 1 + tap % p.s;
            if (row < 0 || row >= p.h || column < 0 || column >= p.w) continue;
            for (int64_t c = 0; c < 3; ++c)
              want[size_t((k * p.r * p.s + tap) * 3 + c)] +=
                  float(dy[size_t(at)]) *
                  (float(x[size_t(((n * p.h + row) * p.w + column) * 3 + 2 - c)]) - float(c + 1));
          }
  return cusim::same("gradient", dw, [&](size_t i) { return want[i]; });
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
