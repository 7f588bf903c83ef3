// Moving values on CUDA: every element at its place, nothing written between.
#include "kernels/layout.h"

#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

template <class T>
struct CudaLayout : testing::Test {};
TYPED_TEST_SUITE(CudaLayout, Floats);

template <class T>
std::vector<double> transposed(const std::vector<T>& x, int64_t count, int64_t rows,
                               int64_t columns) {
  std::vector<double> y;
  for (int64_t k = 0; k < count; ++k)
    for (int64_t j = 0; j < columns; ++j)
      for (int64_t i = 0; i < rows; ++i)
        y.push_back(double(float(x[size_t((k * rows + i) * columns + j)])));
  return y;
}

TYPED_TEST(CudaLayout, Transpose) {
  using T = TypeParam;
  struct Shape {
    int64_t count, rows, columns;
  };
  on_device([] {
    for (Shape s : {Shape{0, 3, 3}, {2, 0, 3}, {3, 1, 7}, {3, 7, 1}, {5, 9, 3}, {2, 31, 70},
                    {2, 32, 32}, {1, 33, 65}, {3, 64, 40}, {1, 9, 300}}) {
      SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.columns));
      const auto x = integers<T>(size_t(s.count * s.rows * s.columns), 1, 100);
      Array<T> from(x), to(x.size());
      transpose(s.count, s.rows, s.columns, from.data(), to.data(), {});
      expect_values(to, transposed(x, s.count, s.rows, s.columns));
    }
  });
}

TYPED_TEST(CudaLayout, WeightsThereAndBack) {
  using T = TypeParam;
  on_device([] {
    const int64_t o = 4, i = 5, h = 3, w = 2;
    const auto x = integers<T>(size_t(o * i * h * w), 2, 100);
    Array<T> from(x), to(x.size()), back(x.size());
    oihw_to_ohwi(o, i, h, w, from.data(), to.data(), {});
    expect_values(to, transposed(x, o, i, h * w));
    ohwi_to_oihw(o, i, h, w, to.data(), back.data(), {});
    expect_values(back, doubles(x));
    chw_to_hwc_columns(o, i, h, w, from.data(), to.data(), {});
    expect_values(to, transposed(x, o, i, h * w));
    hwc_to_chw_columns(o, i, h, w, to.data(), back.data(), {});
    expect_values(back, doubles(x));
  });
}

TYPED_TEST(CudaLayout, CopyRows) {
  using T = TypeParam;
  struct Case {
    int64_t planes, rows, width;
    Strided from, to;
    size_t offset;
  };
  on_device([] {
    for (Case c : {Case{1, 0, 4, {0, 4}, {0, 4}, 0}, {1, 1, 1, {1, 1}, {1, 1}, 0},
                   {2, 3, 16, {64, 16}, {96, 32}, 0}, {3, 5, 7, {40, 8}, {35, 7}, 0},
                   {2, 9, 24, {216, 24}, {400, 40}, 1}, {1, 50, 40, {0, 48}, {0, 40}, 0}}) {
      SCOPED_TRACE(std::to_string(c.rows) + " x " + std::to_string(c.width));
      auto extent = [&](Strided s) {
        return c.rows == 0 ? size_t(0)
                           : size_t((c.planes - 1) * s.plane + (c.rows - 1) * s.row + c.width);
      };
      const auto x = integers<T>(extent(c.from), 3, 100);
      std::vector<double> want(extent(c.to), std::nan(""));
      for (int64_t plane = 0; plane < c.planes; ++plane)
        for (int64_t row = 0; row < c.rows; ++row)
          for (int64_t j = 0; j < c.width; ++j)
            want[size_t(plane * c.to.plane + row * c.to.row + j)] =
                double(float(x[size_t(plane * c.from.plane + row * c.from.row + j)]));
      Array<T> from(x, c.offset), to(want.size(), c.offset);
      copy_rows(c.planes, c.rows, c.width, from.data(), c.from, to.data(), c.to, {});
      expect_values(to, want);
    }
  });
}

}  // namespace
}  // namespace graft::cuda
