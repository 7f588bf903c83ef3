// Sums on CUDA: exact on integers at sizes around threads, blocks and runs; the same bits twice;
// accurate where float alone would not be.
#include "kernels/reduce.h"

#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

template <class T>
struct CudaReduce : testing::Test {};
TYPED_TEST_SUITE(CudaReduce, Floats);

TYPED_TEST(CudaReduce, FlatSumsAreExactOnIntegers) {
  using T = TypeParam;
  const int64_t pack = 16 / int64_t(sizeof(T)), block = 256 * pack;
  on_device([=] {
    for (int64_t n : {int64_t(0), int64_t(1), pack - 1, pack, pack + 1, block - 1, block + 1,
                      4 * block + pack + 1, 65 * block})
      for (size_t offset : {0, 1}) {
        if (offset && n > 5 * block) continue;
        SCOPED_TRACE(std::to_string(n) + " elements from " + std::to_string(offset));
        const auto a = integers<T>(size_t(n), 1), b = integers<T>(size_t(n), 2);
        Array<T> x(a, offset), y(b, offset);
        double s = 0, q = 0, d = 0;
        for (size_t i = 0; i < size_t(n); ++i) {
          s += double(float(a[i]));
          q += double(float(a[i])) * double(float(a[i]));
          d += double(float(a[i])) * double(float(b[i]));
        }
        Array<double> result(1);
        sum(n, x.data(), result.data(), {});
        EXPECT_EQ(result.host()[0], s);
        sum_of_squares(n, x.data(), result.data(), {});
        EXPECT_EQ(result.host()[0], q);
        dot(n, x.data(), y.data(), result.data(), {});
        EXPECT_EQ(result.host()[0], d);
      }
  });
}

TYPED_TEST(CudaReduce, SumsOverRowsAreExactOnIntegers) {
  using T = TypeParam;
  struct Shape {
    int64_t rows, c;
  };
  on_device([] {
    for (Shape s : {Shape{0, 5}, {1, 1}, {2, 3}, {9, 8}, {257, 1}, {31, 33}, {300, 16}, {65, 264},
                    {40, 24}, {2100, 2}})
      for (size_t offset : {0, 1}) {
        SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.c));
        const auto a = integers<T>(size_t(s.rows * s.c), 3), b = integers<T>(a.size(), 4);
        Array<T> x(a, offset), z(b, offset);
        Array<float> y(size_t(s.c), offset);
        std::vector<double> sums(size_t(s.c)), dots(size_t(s.c));
        for (size_t i = 0; i < a.size(); ++i) {
          sums[i % size_t(s.c)] += double(float(a[i]));
          dots[i % size_t(s.c)] += double(float(a[i])) * double(float(b[i]));
        }
        sum_rows(s.rows, s.c, x.data(), y.data(), {});
        expect_values(y, sums);
        dot_rows(s.rows, s.c, x.data(), z.data(), y.data(), {});
        expect_values(y, dots);
      }
  });
}

TYPED_TEST(CudaReduce, SumsOverTheRowsOfEachImage) {
  using T = TypeParam;
  struct Shape {
    int64_t images, pixels, c;
  };
  on_device([] {
    for (Shape s : {Shape{0, 4, 8}, {1, 1, 1}, {3, 49, 40}, {2, 700, 7}, {5, 3, 264}}) {
      const auto a = integers<T>(size_t(s.images * s.pixels * s.c), 3),
                 b = integers<T>(a.size(), 4);
      std::vector<double> want(size_t(s.images * s.c));
      for (size_t i = 0; i < a.size(); ++i)
        want[i / size_t(s.pixels * s.c) * size_t(s.c) + i % size_t(s.c)] +=
            double(float(a[i])) * double(float(b[i]));
      Array<T> x(a), z(b);
      Array<float> y(want.size());
      dot_images(s.images, s.pixels, s.c, x.data(), z.data(), y.data(), {});
      expect_values(y, want);
    }
  });
}

TEST(CudaReduceFloats, LongSumsOfFloatsKeepTheirDigits) {
  const size_t n = 300000;
  const auto x = reals<float>(n, 5, 0.5f, 1.5f);
  double right = 0;
  for (float v : x) right += double(v);
  std::vector<double> seen;
  on_device([&] {
    Array<float> in(x);
    Array<double> result(1);
    for (int i = 0; i < 2; ++i) {
      sum(int64_t(n), in.data(), result.data(), {});
      seen.push_back(result.host()[0]);
    }
  });
  for (double value : seen) {
    EXPECT_NEAR(value, right, right * 2e-7);
    EXPECT_EQ(value, seen[0]);
  }
}

TEST(CudaReduceFloats, LongColumnsOfFloatsKeepTheirDigits) {
  const int64_t rows = 60000, c = 3;
  const auto x = reals<float>(size_t(rows * c), 6, 0.5f, 1.5f);
  std::vector<double> right(size_t(c), 0.0);
  for (size_t i = 0; i < x.size(); ++i) right[i % size_t(c)] += double(x[i]);
  std::vector<std::vector<float>> seen;
  on_device([&] {
    Array<float> in(x), y(size_t(c), 0);
    sum_rows(rows, c, in.data(), y.data(), {});
    seen.push_back(y.host());
    expect_values(seen.back(), right, 3e-7);
  });
  for (const auto& values : seen) EXPECT_EQ(values, seen[0]);
}

}  // namespace
}  // namespace graft::cuda
