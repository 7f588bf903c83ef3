// Batch normalisation on CUDA against the formulas in double: statistics, running statistics,
// forward and both gradients, with and without residual, from y and from x alone.
#include "kernels/norm.h"

#include <optional>

#include "kernels/elementwise.h"
#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

template <class T>
struct CudaNorm : testing::Test {};
TYPED_TEST_SUITE(CudaNorm, Floats);

struct Shape {
  int64_t rows, channels;
};
const Shape kShapes[] = {{2, 1}, {3, 7}, {257, 4}, {130, 33}, {40, 64}, {90, 264}, {1100, 2}};

std::string text(const Shape& s) {
  return std::to_string(s.rows) + " x " + std::to_string(s.channels);
}

TYPED_TEST(CudaNorm, Statistics) {
  using T = TypeParam;
  on_device([] {
    for (Shape s : kShapes)
      for (size_t offset : {0, 1}) {
        SCOPED_TRACE(text(s));
        auto x = integers<T>(size_t(s.rows * s.channels), 1, 100);
        const auto c = size_t(s.channels);
        for (size_t i = 0; i < x.size(); i += c) x[i] = T(float(x[i]) + 1000);  // far from 0
        const auto old_mean = reals<float>(c, 2, -3, 3), old_var = reals<float>(c, 3, 0, 4);
        std::vector<double> mean(c), var(c), rstd, running_mean, running_var;
        for (size_t i = 0; i < x.size(); ++i) mean[i % c] += double(float(x[i])) / double(s.rows);
        for (size_t i = 0; i < x.size(); ++i)
          var[i % c] += std::pow(double(float(x[i])) - mean[i % c], 2) / double(s.rows);
        for (size_t j = 0; j < c; ++j) {
          rstd.push_back(1 / std::sqrt(var[j] + 1e-3));
          running_mean.push_back(0.9 * double(old_mean[j]) + 0.1 * mean[j]);
          const double unbiased = var[j] * double(s.rows) / double(s.rows - 1);
          running_var.push_back(0.9 * double(old_var[j]) + 0.1 * unbiased);
        }
        Array<T> in(x, offset);
        Array<float> m(c, offset), v(c, offset), r(c, offset), rm(old_mean), rv(old_var);
        batch_norm_statistics(s.rows, s.channels, in.data(),
                              {.mean = m.data(),
                               .var = v.data(),
                               .rstd = r.data(),
                               .eps = 1e-3f,
                               .running_mean = rm.data(),
                               .running_var = rv.data(),
                               .momentum = 0.1f},
                              {});
        expect_values(m, mean, 1e-6);
        expect_values(v, var, 1e-6);
        expect_values(r, rstd, 1e-6);
        expect_values(rm, running_mean, 1e-6);
        expect_values(rv, running_var, 1e-6);
        batch_norm_rstd(s.channels, v.data(), 1e-3f, r.data(), {});
        expect_values(r, rstd, 1e-6);
      }
  });
}

struct Options {
  Activation activation = Activation::none;
  bool affine = true, residual = false, from_y = true, train = true;
  size_t offset = 0;
};

// One problem with its values, and what the formulas say.
template <class T>
struct Example {
  Shape s;
  Options o;
  std::vector<T> x, residual, dy;
  std::vector<float> mean, rstd, gamma, beta;
  std::vector<T> y;
  std::vector<double> want_y, want_dx, want_dgamma, want_dbeta, want_dresidual;

  Example(const Shape& s, const Options& o) : s(s), o(o) {
    const auto n = size_t(s.rows * s.channels), c = size_t(s.channels);
    x = reals<T>(n, 1, -2, 2), residual = reals<T>(n, 2, -2, 2), dy = reals<T>(n, 3, -1, 1);
    gamma = o.affine ? reals<float>(c, 4, 0.5f, 2) : std::vector<float>(c, 1.0f);
    beta = o.affine ? reals<float>(c, 5, -1, 1) : std::vector<float>(c, 0.0f);
    mean = reals<float>(c, 6, -0.2f, 0.2f), rstd = reals<float>(c, 7, 0.5f, 1.5f);
    if (o.train) own_statistics();
    with_activation(o.activation, [&]<class Op>(Op) { compute<Op>(); });
  }

  void own_statistics() {
    const size_t c = mean.size();
    std::vector<double> m(c), v(c);
    for (size_t i = 0; i < x.size(); ++i) m[i % c] += double(float(x[i])) / double(s.rows);
    for (size_t i = 0; i < x.size(); ++i)
      v[i % c] += std::pow(double(float(x[i])) - m[i % c], 2) / double(s.rows);
    for (size_t j = 0; j < c; ++j)
      mean[j] = float(m[j]), rstd[j] = float(1 / std::sqrt(v[j] + 0.1));
  }

  template <class Op>
  void compute() {
    const size_t c = mean.size();
    std::vector<double> g;
    want_dgamma.assign(c, 0), want_dbeta.assign(c, 0);
    auto xhat = [&](size_t i) {
      return (double(float(x[i])) - double(mean[i % c])) * double(rstd[i % c]);
    };
    for (size_t i = 0; i < x.size(); ++i) {
      double z = xhat(i) * double(gamma[i % c]) + double(beta[i % c]);
      if (o.residual) z += double(float(residual[i]));
      // Away from where the derivative jumps, lest a rounding decides the test.
      if (z == 0 || std::fabs(z) < 1e-4) dy[i] = T(0.0f);
      want_y.push_back(double(Op::f(float(z))));
      y.push_back(T(float(want_y.back())));
      const float known = gradient_from_output(o.activation) && o.from_y ? float(y[i])
                                                                        : float(want_y.back());
      g.push_back(double(float(dy[i])) * double(Op::df(float(z), known)));
      want_dbeta[i % c] += g[i];
      want_dgamma[i % c] += g[i] * xhat(i);
    }
    want_dresidual = g;
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t j = i % c;
      const double m = double(s.rows);
      const double inner =
          o.train ? g[i] - want_dbeta[j] / m - xhat(i) * want_dgamma[j] / m : g[i];
      want_dx.push_back(double(gamma[j]) * double(rstd[j]) * inner);
    }
  }
};

template <class T>
void run_example(const Example<T>& e) {
  const Options& o = e.o;
  const size_t n = e.x.size(), c = e.mean.size();
  SCOPED_TRACE(text(e.s) + " " + name_of(o.activation) + (o.residual ? " residual" : "") +
               (o.from_y ? " from y" : "") + (o.train ? " train" : " frozen") +
               (o.offset ? " misaligned" : ""));
  Array<T> x(e.x, o.offset), residual(e.residual, o.offset), dy(e.dy, o.offset), y(n, o.offset);
  Array<float> mean(e.mean, o.offset), rstd(e.rstd, o.offset), gamma(e.gamma), beta(e.beta);
  const NormProblem p{e.s.rows,    e.s.channels,
                      mean.data(), rstd.data(),
                      o.affine ? gamma.data() : nullptr, o.affine ? beta.data() : nullptr,
                      o.activation};
  batch_norm_forward(p, x.data(), o.residual ? residual.data() : nullptr, y.data(), {});
  expect_values(y, e.want_y, 3e-6);

  Array<T> dx(n, o.offset), dresidual(n, o.offset), known(e.y, o.offset);
  Array<float> dgamma(c), dbeta(c);
  auto backward = o.train ? batch_norm_backward_train<T> : batch_norm_backward_frozen<T>;
  const T* given = o.from_y ? known.data() : nullptr;
  // g is rounded to T on its way to the second pass where it is written.
  const double tolerance = 3e-5 + (o.residual ? 4 * rounding<T> : 0);
  const double sums = 1e-6 * double(e.s.rows);
  backward(p, x.data(), given, dy.data(),
           {dx.data(), dgamma.data(), dbeta.data(), o.residual ? dresidual.data() : nullptr}, {});
  expect_values(dx, e.want_dx, tolerance);
  expect_values(dgamma, e.want_dgamma, sums);
  expect_values(dbeta, e.want_dbeta, sums);
  if (o.residual) expect_values(dresidual, e.want_dresidual, 3e-6);
  Array<T> alone(n, o.offset);  // one gradient at a time
  backward(p, x.data(), given, dy.data(), {.dx = alone.data()}, {});
  expect_values(alone, e.want_dx, tolerance);
  Array<float> beta_alone(c);
  backward(p, x.data(), given, dy.data(), {.dbeta = beta_alone.data()}, {});
  expect_values(beta_alone, e.want_dbeta, sums);
}

TYPED_TEST(CudaNorm, EveryActivation) {
  using T = TypeParam;
  std::vector<Example<T>> examples;
  for (bool train : {true, false})
    for (Activation a :
         {Activation::none, Activation::relu, Activation::relu6, Activation::sigmoid,
          Activation::silu, Activation::gelu, Activation::hardswish, Activation::hardsigmoid})
      for (bool from_y : {true, false})
        for (bool residual : {true, false}) {
          if (residual && !(from_y && gradient_from_output(a))) continue;
          examples.emplace_back(Shape{37, 24}, Options{.activation = a,
                                                       .affine = residual || from_y,
                                                       .residual = residual,
                                                       .from_y = from_y,
                                                       .train = train});
        }
  on_device([&] {
    for (const auto& e : examples) run_example(e);
  });
}

TYPED_TEST(CudaNorm, EveryShape) {
  using T = TypeParam;
  std::vector<Example<T>> examples;
  for (Shape s : kShapes)
    for (size_t offset : {0, 1})
      for (bool train : {true, false})
        examples.emplace_back(s, Options{.activation = Activation::relu,
                                         .residual = s.rows % 2 == 0,
                                         .from_y = true,
                                         .train = train,
                                         .offset = offset});
  on_device([&] {
    for (const auto& e : examples) run_example(e);
  });
}

}  // namespace
}  // namespace graft::cuda
