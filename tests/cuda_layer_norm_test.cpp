// Layer normalisation on CUDA against the formulas in double, in rows for a warp and for a block.
#include "kernels/layer_norm.h"

#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

template <class T>
struct CudaLayerNorm : testing::Test {};
TYPED_TEST_SUITE(CudaLayerNorm, Floats);

struct Shape {
  int64_t rows, channels;
};

template <class T>
struct Example {
  Shape s;
  std::vector<T> x, dy;
  std::vector<float> gamma, beta;
  std::vector<double> y, mean, rstd, dx, dgamma, dbeta;

  explicit Example(const Shape& s) : s(s) {
    const auto n = size_t(s.rows * s.channels), c = size_t(s.channels);
    x = reals<T>(n, 1, 3, 7), dy = reals<T>(n, 2, -1, 1);
    gamma = reals<float>(c, 3, 0.5f, 2), beta = reals<float>(c, 4, -1, 1);
    y.resize(n), dx.resize(n), dgamma.resize(c), dbeta.resize(c);
    for (size_t row = 0; row < size_t(s.rows); ++row) {
      const size_t at = row * c;
      double m = 0, v = 0, sum = 0, slope = 0;
      for (size_t j = 0; j < c; ++j) m += double(float(x[at + j])) / double(c);
      for (size_t j = 0; j < c; ++j) v += std::pow(double(float(x[at + j])) - m, 2) / double(c);
      const double r = 1 / std::sqrt(v + 0.01);
      mean.push_back(m), rstd.push_back(r);
      for (size_t j = 0; j < c; ++j) {
        const double xhat = (double(float(x[at + j])) - m) * r, d = double(float(dy[at + j]));
        y[at + j] = xhat * double(gamma[j]) + double(beta[j]);
        sum += d * double(gamma[j]) / double(c);
        slope += d * double(gamma[j]) * xhat / double(c);
        dgamma[j] += d * xhat, dbeta[j] += d;
      }
      for (size_t j = 0; j < c; ++j) {
        const double xhat = (double(float(x[at + j])) - m) * r;
        dx[at + j] = r * (double(float(dy[at + j])) * double(gamma[j]) - sum - xhat * slope);
      }
    }
  }
};

TYPED_TEST(CudaLayerNorm, ForwardAndGradients) {
  using T = TypeParam;
  std::vector<Example<T>> examples;
  for (Shape s : {Shape{1, 1}, {3, 2}, {9, 7}, {8, 8}, {17, 33}, {5, 264}, {37, 40}, {2, 1000},
                  {3, 1025}, {2, 2064}})
    examples.emplace_back(s);
  on_device([&] {
    for (const Example<T>& e : examples)
      for (size_t offset : {0, 1}) {
        const size_t n = e.x.size(), rows = e.mean.size(), c = e.gamma.size();
        SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(c) + " from " +
                     std::to_string(offset));
        const LayerNormProblem p{e.s.rows, e.s.channels, 0.01f};
        Array<T> x(e.x, offset), dy(e.dy, offset), y(n, offset), dx(n, offset);
        Array<float> gamma(e.gamma), beta(e.beta), mean(rows), rstd(rows), dgamma(c), dbeta(c);
        layer_norm(p, x.data(), gamma.data(), beta.data(), y.data(), mean.data(), rstd.data(), {});
        expect_values(y, e.y, 4e-6);
        expect_values(mean, e.mean, 1e-6);
        expect_values(rstd, e.rstd, 2e-6);
        layer_norm_backward(p, x.data(), gamma.data(), mean.data(), rstd.data(), dy.data(),
                            {dx.data(), dgamma.data(), dbeta.data()}, {});
        expect_values(dx, e.dx, 1e-5);
        expect_values(dgamma, e.dgamma, 2e-5);
        expect_values(dbeta, e.dbeta, 2e-5);
        layer_norm(p, x.data(), gamma.data(), beta.data(), x.data(), nullptr, nullptr, {});
        expect_values(x, e.y, 4e-6);  // in place
      }
  });
}

}  // namespace
}  // namespace graft::cuda
