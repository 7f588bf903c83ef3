// Windows of tokens and back on CUDA: every element at its place, the padding 0, nothing beside it.
#include "kernels/window.h"

#include <string>

#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

template <class T>
struct CudaWindow : testing::Test {};
TYPED_TEST_SUITE(CudaWindow, Floats);

// The pixel of a token, counted over all images, or -1 in the padding; tokens in their order.
std::vector<int64_t> pixels_of_tokens(const WindowProblem& p) {
  std::vector<int64_t> pixels;
  for (int64_t image = 0; image < p.n; ++image)
    for (int64_t row = 0; row < p.rows(); ++row)
      for (int64_t column = 0; column < p.columns(); ++column)
        for (int64_t token = 0; token < p.tokens(); ++token) {
          const int64_t i = p.columns_first ? token % p.window_h : token / p.window_w;
          const int64_t j = p.columns_first ? token / p.window_h : token % p.window_w;
          const int64_t y = (row * p.window_h + i + p.shift_h) % (p.rows() * p.window_h);
          const int64_t x = (column * p.window_w + j + p.shift_w) % (p.columns() * p.window_w);
          pixels.push_back(y < p.h && x < p.w ? (image * p.h + y) * p.w + x : -1);
        }
  return pixels;
}

TYPED_TEST(CudaWindow, ThereAndBack) {
  using T = TypeParam;
  on_device([] {
    for (const WindowProblem& p :
         {WindowProblem{1, 1, 1, 1, 1, 1}, {2, 4, 6, 3, 2, 3}, {1, 7, 7, 8, 7, 7, 3, 3},
          {2, 14, 7, 16, 7, 7, 3, 3}, {1, 9, 10, 24, 4, 3, 1, 2}, {1, 3, 2, 5, 4, 4, 2, 1},
          {3, 6, 5, 8, 2, 2, 0, 0, true}, {1, 5, 8, 7, 2, 3, 1, 2, true}, {0, 4, 4, 8, 2, 2}})
      for (size_t offset : {0, 1}) {
        SCOPED_TRACE(std::to_string(p.h) + " x " + std::to_string(p.w) + " x " +
                     std::to_string(p.c) + " from " + std::to_string(offset));
        const auto channels = size_t(p.c);
        const auto x = integers<T>(size_t(p.n * p.h * p.w) * channels, 1, 100);
        std::vector<double> want;
        for (int64_t pixel : pixels_of_tokens(p))
          for (size_t c = 0; c < channels; ++c)
            want.push_back(pixel < 0 ? 0 : double(float(x[size_t(pixel) * channels + c])));
        Array<T> map(x, offset), windows(want.size(), offset), back(x.size(), offset);
        to_windows(p, map.data(), windows.data(), {});
        expect_values(windows, want);
        from_windows(p, windows.data(), back.data(), {});
        expect_values(back, doubles(x));
      }
  });
}

}  // namespace
}  // namespace graft::cuda
