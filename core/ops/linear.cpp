#include <algorithm>

#include "core/autograd.h"
#include "core/ops.h"
#include "core/trace.h"
#include "kernels/gemm.h"
#include "kernels/reduce.h"

namespace graft {
namespace {

Tensor product(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
               const Tensor& a, const Tensor& b) {
  Tensor c({m, n});
  cpu::gemm(transpose_a, transpose_b, m, n, k, 1, a.data(), b.data(), 0, c.mutable_data());
  return c;
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  GRAFT_CHECK(a.rank() == 2 && b.rank() == 2 && a.dim(1) == b.dim(0),
              "matmul: shapes {} and {} do not fit", a.shape(), b.shape());
  if (tracing({&a, &b})) return traced("matmul", {a, b}, {a.dim(0), b.dim(1)});
  int64_t m = a.dim(0), k = a.dim(1), n = b.dim(1);
  return record("matmul", product(false, false, m, n, k, a, b),
                {{a, [=, b = b.detach()](const Tensor& dy) {
                    return product(false, true, m, k, n, dy, b); }},
                 {b, [=, a = a.detach()](const Tensor& dy) {
                    return product(true, false, k, n, m, a, dy); }}});
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias, Activation activation) {
  GRAFT_CHECK(x.rank() >= 1 && w.rank() == 2 && x.dim(-1) == w.dim(1),
              "linear: x {} and weight {} must be (...,I) and (O,I)", x.shape(), w.shape());
  int64_t in = w.dim(1), out = w.dim(0), n = in ? x.size() / in : 0;
  GRAFT_CHECK(!bias.defined() || bias.shape() == Shape{out}, "linear: bias {} for {} outputs",
              bias.shape(), out);
  Shape shape = x.shape();
  shape.back() = out;
  if (tracing({&x})) return activate(traced("linear", {x, w, bias}, shape), activation);
  Tensor y(shape);
  float* values = y.mutable_data();
  if (bias.defined())
    for (int64_t row = 0; row < n; ++row)
      std::copy_n(bias.data(), out, values + row * out);
  cpu::gemm(false, true, n, out, in, 1, x.data(), w.data(), bias.defined() ? 1 : 0, values);
  y = record("linear", y,
             {{x, [=, w = w.detach(), shape = x.shape()](const Tensor& dy) {
                 return product(false, false, n, in, out, dy, w).reshape(shape); }},
              {w, [=, x = x.detach()](const Tensor& dy) {
                 return product(true, false, out, in, n, dy, x); }},
              {bias, [=](const Tensor& dy) {
                 Tensor db({out});
                 cpu::sum_rows(n, out, dy.data(), db.mutable_data());
                 return db; }}});
  return activation == Activation::none ? y : activate(y, activation);
}

// As a convolution over a row of pixels: its kernel is as fast as oneDNN's inner product.
Tensor linear(const Tensor& x, FrozenFilter& w, const Tensor& bias, Activation activation) {
  const Shape& filter = w.weight.shape();
  GRAFT_CHECK(x.rank() >= 1 && filter.size() == 4 && filter[1] * filter[2] == 1 &&
              x.dim(-1) == filter[3],
              "linear: x {} and weight {} must be (...,I) and (O,1,1,I)", x.shape(), filter);
  if (tracing({&x}))
    return linear(x, w.weight.reshape({filter[0], filter[3]}), bias, activation);
  const int64_t rows = filter[3] ? x.size() / filter[3] : 0;
  Shape shape = x.shape();
  shape.back() = filter[0];
  return conv2d(x.reshape({1, 1, rows, filter[3]}), w, bias, {}, activation).reshape(shape);
}

}  // namespace graft
