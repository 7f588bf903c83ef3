// Elementwise kernels on CUDA: every function and type, at sizes around what a thread and a block
// do, aligned and not.
#include "kernels/elementwise.h"

#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

constexpr int64_t kBlockThreads = 256;

template <class T>
struct CudaElementwise : testing::Test {};
TYPED_TEST_SUITE(CudaElementwise, Floats);

// body(n, elements before the first of the inputs, and of the output)
template <class T, class Body>
void at_every_size(const Body& body) {
  const int64_t pack = 16 / int64_t(sizeof(T)), block = kBlockThreads * pack;
  for (int64_t n : {int64_t(0), int64_t(1), pack - 1, pack, pack + 1, block - 1, block, block + 1,
                    3 * block + pack + 1})
    for (auto [offset, out_offset] : {std::pair<size_t, size_t>{0, 0}, {1, 1}, {3, 3}, {0, 1}}) {
      SCOPED_TRACE(std::to_string(n) + " elements from " + std::to_string(offset) + " to " +
                   std::to_string(out_offset));
      body(n, offset, out_offset);
      if (testing::Test::HasFatalFailure()) return;
    }
}

template <class T, class F>
std::vector<double> map(const std::vector<T>& a, const std::vector<T>& b, const F& f) {
  std::vector<double> result;
  for (size_t i = 0; i < a.size(); ++i) result.push_back(f(float(a[i]), float(b[i])));
  return result;
}

TYPED_TEST(CudaElementwise, Arithmetic) {
  using T = TypeParam;
  on_device([] {
    at_every_size<T>([](int64_t n, size_t offset, size_t out_offset) {
      const auto a = integers<T>(size_t(n), 1), b = integers<T>(size_t(n), 2);
      Array<T> x(a, offset), z(b, offset), y(size_t(n), out_offset);
      add(n, x.data(), z.data(), y.data(), {});
      expect_values(y, map(a, b, [](float p, float q) { return p + q; }));
      mul(n, x.data(), z.data(), y.data(), {});
      expect_values(y, map(a, b, [](float p, float q) { return p * q; }));
      scale(n, -1.5f, x.data(), y.data(), {});
      expect_values(y, map(a, b, [](float p, float) { return -1.5f * p; }));
      fill(n, 2.5f, y.data(), {});
      expect_values(y, map(a, b, [](float, float) { return 2.5f; }));
      add(n, x.data(), x.data(), x.data(), {});  // in place
      expect_values(x, map(a, b, [](float p, float) { return p + p; }));
    });
  });
}

TYPED_TEST(CudaElementwise, Columns) {
  using T = TypeParam;
  struct Shape {
    int64_t rows, c;
  };
  on_device([] {
    for (Shape s : {Shape{0, 4}, {4, 0}, {1, 1}, {3, 7}, {300, 1}, {70, 16}, {9, 24}, {5, 1000},
                    {40, 264}, {2, 33}, {1100, 8}})
      for (size_t offset : {0, 1}) {
        SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.c));
        const auto a = integers<T>(size_t(s.rows * s.c), 3), b = integers<T>(size_t(s.c), 4);
        std::vector<T> wide;
        for (int64_t i = 0; i < s.rows * s.c; ++i) wide.push_back(b[size_t(i % s.c)]);
        Array<T> x(a, offset), z(b, offset), y(a.size(), offset);
        add_columns(s.rows, s.c, x.data(), z.data(), y.data(), {});
        expect_values(y, map(a, wide, [](float p, float q) { return p + q; }));
        mul_columns(s.rows, s.c, x.data(), z.data(), x.data(), {});
        expect_values(x, map(a, wide, [](float p, float q) { return p * q; }));
      }
  });
}

TYPED_TEST(CudaElementwise, ImagesTimesFactorsOfTheirOwn) {
  using T = TypeParam;
  struct Shape {
    int64_t images, pixels, c;
  };
  on_device([] {
    for (Shape s : {Shape{0, 4, 8}, {1, 1, 1}, {3, 49, 40}, {2, 200, 7}, {5, 3, 264}}) {
      const auto a = integers<T>(size_t(s.images * s.pixels * s.c), 3);
      const auto b = integers<T>(size_t(s.images * s.c), 4);
      std::vector<T> wide;
      for (int64_t i = 0; i < s.images * s.pixels * s.c; ++i)
        wide.push_back(b[size_t(i / (s.pixels * s.c) * s.c + i % s.c)]);
      Array<T> x(a), z(b), y(a.size());
      mul_images(s.images, s.pixels, s.c, x.data(), z.data(), y.data(), {});
      expect_values(y, map(a, wide, [](float p, float q) { return p * q; }));
    }
  });
}

TYPED_TEST(CudaElementwise, ActivationsAndTheirGradients) {
  using T = TypeParam;
  on_device([] {
    for (Activation a : {Activation::none, Activation::relu, Activation::relu6,
                         Activation::sigmoid, Activation::silu, Activation::gelu,
                         Activation::hardswish, Activation::hardsigmoid}) {
      SCOPED_TRACE(name_of(a));
      with_activation(a, [&]<class Op>(Op) {
        const int64_t n = 1029;
        const auto x = reals<T>(size_t(n), 5, -9, 9), dy = reals<T>(size_t(n), 6, -2, 2);
        Array<T> in(x), out(size_t(n), 0), g(dy), dx(size_t(n), 0);
        activate(a, n, in.data(), out.data(), {});
        expect_values(out, map(x, x, [](float v, float) { return Op::f(v); }), 4e-7);
        const bool from_output = gradient_from_output(a);
        const std::vector<T> y = out.host();
        activate_backward(a, n, g.data(), from_output ? nullptr : in.data(),
                          from_output && a != Activation::none ? out.data() : nullptr, dx.data(),
                          {});
        std::vector<double> want;
        for (size_t i = 0; i < size_t(n); ++i)
          want.push_back(float(dy[i]) * Op::df(float(x[i]), float(y[i])));
        expect_values(dx, want, 1e-6);
      });
    }
  });
}

TYPED_TEST(CudaElementwise, NaNStaysNaN) {
  using T = TypeParam;
  on_device([] {
    std::vector<T> x(9, T(std::nanf("")));
    Array<T> in(x), y(9);
    activate(Activation::relu, 9, in.data(), y.data(), {});
    for (T v : y.host()) EXPECT_TRUE(std::isnan(float(v)));
  });
}

TYPED_TEST(CudaElementwise, Conversions) {
  using T = TypeParam;
  on_device([] {
    at_every_size<float>([](int64_t n, size_t offset, size_t out_offset) {
      const auto x = reals<T>(size_t(n), 7, -1000, 1000);
      Array<T> in(x, offset);
      auto check = [&]<class To>(To) {
        Array<To> y(size_t(n), out_offset);
        convert(n, in.data(), y.data(), {});
        expect_values(y, doubles(x));
      };
      check(0.0f);
      check(bf16());
      check(f16());
    });
  });
}

// Philox4x32-10, word by word, as in the paper.
uint32_t philox_word(uint64_t block, int word, const DropoutMask& mask) {
  const auto index = uint64_t(*mask.index);
  uint32_t c[4] = {uint32_t(block), uint32_t(block >> 32), uint32_t(index), uint32_t(index >> 32)};
  uint32_t k[2] = {mask.key[0], mask.key[1]};
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t(0xD2511F53u) * c[0], b = uint64_t(0xCD9E8D57u) * c[2];
    const uint32_t next[4] = {uint32_t(b >> 32) ^ c[1] ^ k[0], uint32_t(b),
                              uint32_t(a >> 32) ^ c[3] ^ k[1], uint32_t(a)};
    std::copy(next, next + 4, c);
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  return c[word];
}

TYPED_TEST(CudaElementwise, DropoutHasTheProcessorsMask) {
  using T = TypeParam;
  on_device([] {
    for (float p : {0.0f, 0.25f, 0.5f, 1.0f})
      for (int64_t n : {0, 1, 15, 16, 17, 63, 64, 65, 1000, 4097})
        for (size_t offset : {0, 1}) {
          SCOPED_TRACE(std::to_string(n) + ", p " + std::to_string(p));
          const std::vector<int64_t> index{0x100000007};
          const Array<int64_t> there(index);
          const uint32_t key[2] = {0x12345678u, 0x9abcdef0u};
          const auto x = integers<T>(size_t(n), 8);
          Array<T> in(x, offset), y(size_t(n), offset);
          dropout({p, {key[0], key[1]}, there.data()}, n, in.data(), y.data(), {});
          const DropoutMask mask{p, {key[0], key[1]}, index.data()};
          std::vector<double> want;
          const double threshold = std::min(std::ldexp(double(p), 32), 4294967295.0);
          for (int64_t i = 0; i < n; ++i) {
            const uint64_t block = uint64_t(i / 64 * 16 + i % 16);
            const bool dropped = philox_word(block, int(i % 64 / 16), mask) < uint32_t(threshold);
            const float keep = p < 1 ? 1.0f / (1.0f - p) : 0.0f;
            want.push_back(dropped ? 0.0 : double(float(x[size_t(i)]) * keep));
          }
          expect_values(y, want);
        }
  });
}

}  // namespace
}  // namespace graft::cuda
