// Queries and keys by their direction on CUDA, against the formulas in double; vectors of length 0
// and below the shortest; exactly where lengths are powers of two.
#include "kernels/cosine.h"

#include <string>

#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

template <class T>
struct CudaCosine : testing::Test {};
TYPED_TEST_SUITE(CudaCosine, Floats);

struct Shape {
  int64_t rows, heads, width;
};

template <class T>
struct Example {
  Shape s;
  std::vector<T> x, dy;
  std::vector<float> logs;  // of the factors
  std::vector<double> y, dx, dots;

  explicit Example(const Shape& s) : s(s) {
    const auto width = size_t(s.width), n = size_t(s.rows * 3 * s.heads) * width;
    x = reals<T>(n, 1, -2, 2), dy = reals<T>(n, 2, -1, 1);
    logs = reals<float>(size_t(s.heads), 3, -0.7f, 0.7f);
    if (s.heads > 1) logs.back() = kLargestLogFactor + 1;  // counts as the largest
    if (n > width) std::fill_n(x.begin(), width, T(0.0f));
    y.resize(n), dx.resize(n), dots.resize(size_t(s.rows * s.heads));
    for (size_t vector = 0; vector * width < n; ++vector) {
      const size_t at = vector * width, heads = size_t(s.heads);
      const size_t head = vector % heads, part = vector / heads % 3;
      double length = 0, along = 0;
      auto value = [&](size_t j) { return double(float(x[at + j])); };
      auto slope = [&](size_t j) { return double(float(dy[at + j])); };
      for (size_t j = 0; j < width; ++j) length += value(j) * value(j);
      length = std::sqrt(length);
      const double divisor = part == 2 ? 1 : std::max(length, double(1e-12f));
      const bool limited = logs[head] > kLargestLogFactor;
      const double factor = part > 0 ? 1 : limited ? 100 : std::exp(double(logs[head]));
      for (size_t j = 0; j < width; ++j) along += value(j) / divisor * slope(j);
      if (part == 0) dots[vector / (3 * heads) * heads + head] = limited ? 0 : factor * along;
      for (size_t j = 0; j < width; ++j) {
        y[at + j] = factor * value(j) / divisor;
        const double back = part < 2 && length > 1e-12 ? along * value(j) / divisor : 0;
        dx[at + j] = factor * (slope(j) - back) / divisor;
      }
    }
  }
};

TYPED_TEST(CudaCosine, ForwardAndGradients) {
  using T = TypeParam;
  std::vector<Example<T>> examples;
  for (const Shape& s : {Shape{1, 1, 1}, {1, 1, 2}, {3, 2, 7}, {2, 3, 31}, {11, 1, 32},
                         {5, 4, 33}, {4, 3, 64}, {1, 2, 63}, {2, 1, 65}, {1, 1, 131}, {1, 2, 136}})
    examples.emplace_back(s);
  on_device([&] {
    for (const Example<T>& e : examples)
      for (size_t offset : {0, 1}) {
        SCOPED_TRACE(std::to_string(e.s.rows) + " x " + std::to_string(e.s.heads) + " x " +
                     std::to_string(e.s.width) + " from " + std::to_string(offset));
        Array<T> x(e.x, offset), dy(e.dy, offset), y(e.x.size(), offset), dx(e.x.size(), offset);
        Array<T> dx_alone(e.x.size(), offset);
        Array<float> logs(e.logs), dots(e.dots.size()), dots_alone(e.dots.size());
        const CosineProblem p{e.s.rows, e.s.heads, e.s.width, logs.data()};
        cosine(p, x.data(), y.data(), {});
        expect_values(y, e.y, 1e-6);
        cosine_backward(p, x.data(), dy.data(), dx.data(), dots.data(), {});
        expect_values(dx, e.dx, 4e-6);
        expect_values(dots, e.dots, 4e-6);
        cosine_backward<T>(p, x.data(), dy.data(), dx_alone.data(), nullptr, {});
        expect_values(dx_alone, doubles(dx.host()));
        cosine_backward<T>(p, x.data(), dy.data(), nullptr, dots_alone.data(), {});
        expect_values(dots_alone, doubles(dots.host()));
      }
  });
}

// Of length 4, factor e^0: quotients are exact.
TYPED_TEST(CudaCosine, LengthsOfPowersOfTwoAreExact) {
  using T = TypeParam;
  const size_t rows = 7, heads = 3, width = 16, n = rows * 3 * heads * width;
  std::vector<T> x(n);
  std::vector<double> y(n);
  for (size_t i = 0; i < n; ++i) {
    const size_t part = i / (width * heads) % 3;
    x[i] = T(i * i % 3 == 1 ? 1.0f : -1.0f);
    y[i] = double(float(x[i])) * (part == 2 ? 1 : 0.25);
  }
  on_device([&] {
    Array<T> in(x), out(n);
    Array<float> logs(std::vector<float>(heads, 0.0f));
    cosine<T>({int64_t(rows), int64_t(heads), int64_t(width), logs.data()}, in.data(), out.data(),
              {});
    expect_values(out, y);
  });
}

TEST(CudaCosineShortest, VectorsBelowTheShortestAreDividedByAConstant) {
  on_device([] {
    Array<float> x(std::vector<float>{3e-13f, 4e-13f, 1, 0, 5, 6}), y(6), dx(6);
    Array<float> dy(std::vector<float>{1e-12f, 0, 0, 1, 1, 1});
    Array<float> logs(std::vector<float>{std::log(2.0f)});
    cosine<float>({1, 1, 2, logs.data()}, x.data(), y.data(), {});
    expect_values(y, {0.6, 0.8, 1, 0, 5, 6}, 1e-6);
    cosine_backward<float>({1, 1, 2, logs.data()}, x.data(), dy.data(), dx.data(), nullptr, {});
    expect_values(dx, {2, 0, 0, 1, 1, 1}, 1e-6);
  });
}

}  // namespace
}  // namespace graft::cuda
