// Pooling on CUDA against plain loops: plain, padded, ceil mode, adaptive and global windows;
// values are small integers, so that maxima and their taps are exact and sums are too.
#include "kernels/pool.h"

#include <limits>

#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

template <class T>
struct CudaPool : testing::Test {};
TYPED_TEST_SUITE(CudaPool, Floats);

struct Case {
  const char* name;
  PoolProblem p;
  size_t offset = 0;
};

std::vector<Case> cases() {
  auto plain = [](int64_t in, int64_t window, int64_t stride, int64_t pad, bool ceil = false,
                  bool count = true) {
    return pool_axis(in, window, stride, pad, pad, ceil, count);
  };
  return {
      {"one element", {1, 1, plain(1, 1, 1, 0), plain(1, 1, 1, 0)}},
      {"resnet's", {2, 16, plain(15, 3, 2, 1), plain(12, 3, 2, 1)}},
      {"narrow channels", {2, 5, plain(7, 3, 2, 1), plain(9, 3, 2, 1)}},
      {"vgg's, misaligned", {1, 8, plain(6, 2, 2, 0), plain(8, 2, 2, 0)}, 1},
      {"ceil mode, padding not counted",
       {1, 8, plain(8, 3, 2, 0, true, false), plain(9, 3, 2, 1, true, false)}},
      {"ceil mode, padding counted", {1, 3, plain(8, 3, 2, 1, true), plain(7, 2, 3, 1, true)}},
      {"gaps between windows", {2, 8, plain(9, 2, 3, 0), plain(10, 1, 4, 0)}},
      {"wide row", {1, 72, plain(2, 2, 1, 0), plain(40, 3, 1, 1)}},
      {"adaptive", {2, 8, adaptive_axis(7, 3), adaptive_axis(5, 7)}},
      {"global", {3, 264, adaptive_axis(7, 1), adaptive_axis(7, 1)}},
      {"no image", {0, 8, plain(4, 2, 2, 0), plain(4, 2, 2, 0)}},
  };
}

// body(output's index, input's index, tap or -1, divisor) for each tap of each window, in order
template <class Body>
void each_tap(const PoolProblem& p, const Body& body) {
  for (int64_t n = 0; n < p.n; ++n)
    for (int64_t oh = 0; oh < p.h.out; ++oh)
      for (int64_t ow = 0; ow < p.w.out; ++ow) {
        const PoolWindow rows = p.h.at(oh), columns = p.w.at(ow);
        for (int64_t h = rows.begin; h < rows.end; ++h)
          for (int64_t w = columns.begin; w < columns.end; ++w)
            for (int64_t c = 0; c < p.c; ++c)
              body(size_t(((n * p.h.out + oh) * p.w.out + ow) * p.c + c),
                   size_t(((n * p.h.in + h) * p.w.in + w) * p.c + c),
                   (h - rows.origin) * p.w.window + w - columns.origin,
                   rows.divisor * columns.divisor);
      }
}

TYPED_TEST(CudaPool, Max) {
  using T = TypeParam;
  on_device([] {
    for (const Case& c : cases()) {
      SCOPED_TRACE(c.name);
      if (c.p.h.adaptive) continue;  // has no taps
      const auto in = size_t(c.p.in_size()), out = size_t(c.p.out_size());
      auto x = integers<T>(in, 1, 3);  // with equal ones: the first wins
      if (in > 20) x[20] = T(std::nanf(""));
      const auto dy = integers<T>(out, 2);
      std::vector<double> y(out, -std::numeric_limits<double>::infinity()), dx(in);
      std::vector<uint8_t> tap(out);
      std::vector<size_t> winner(out);
      each_tap(c.p, [&](size_t o, size_t i, int64_t at, int64_t) {
        const double v = double(float(x[i]));
        if (v > y[o] || std::isnan(v)) y[o] = v, tap[o] = uint8_t(at), winner[o] = i;
      });
      for (size_t o = 0; o < out; ++o) dx[winner[o]] += double(float(dy[o]));
      Array<T> dev_x(x, c.offset), dev_y(out, c.offset), dev_dy(dy, c.offset),
          dev_dx(in, c.offset);
      Array<uint8_t> dev_tap(out, c.offset);
      max_pool(c.p, dev_x.data(), dev_y.data(), dev_tap.data(), {});
      expect_values(dev_y, y);
      EXPECT_EQ(dev_tap.host(), tap);
      max_pool_backward(c.p, dev_dy.data(), dev_tap.data(), dev_dx.data(), {});
      expect_values(dev_dx, dx);
      Array<T> again(out, c.offset);
      max_pool<T>(c.p, dev_x.data(), again.data(), nullptr, {});
      expect_values(again, y);
    }
  });
}

TYPED_TEST(CudaPool, Average) {
  using T = TypeParam;
  on_device([] {
    for (const Case& c : cases()) {
      SCOPED_TRACE(c.name);
      const auto in = size_t(c.p.in_size()), out = size_t(c.p.out_size());
      const auto x = integers<T>(in, 3), dy = integers<T>(out, 4);
      std::vector<double> y(out), dx(in);
      each_tap(c.p, [&](size_t o, size_t i, int64_t, int64_t divisor) {
        y[o] += double(float(x[i])) / double(divisor);
        dx[i] += double(float(dy[o])) / double(divisor);
      });
      Array<T> dev_x(x, c.offset), dev_y(out, c.offset), dev_dy(dy, c.offset),
          dev_dx(in, c.offset);
      avg_pool(c.p, dev_x.data(), dev_y.data(), {});
      expect_values(dev_y, y, 1e-6);
      avg_pool_backward(c.p, dev_dy.data(), dev_dx.data(), {});
      expect_values(dev_dx, dx, 1e-6);
    }
  });
}

}  // namespace
}  // namespace graft::cuda
