#include <algorithm>

#include "core/autograd.h"
#include "core/cast.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/ops/gradients.h"
#include "core/product_kernels.h"
#include "core/trace.h"
#include "kernels/gemm.h"

namespace graft {
namespace {

// c = op(a) (m,k) op(b) (k,n), for a CUDA device; b counts as a's type there.
cuda::GemmProblem gemm_problem(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                               const Tensor& a, const Tensor& b, Tensor& c) {
  cuda::GemmProblem p{.math = math_of(a.dtype()), .transpose_a = transpose_a, .transpose_b = transpose_b,
                      .m = m, .n = n, .k = k};
  p.a = address(a, a.dtype()), p.a_stride = transpose_a ? m : k;
  p.b = address(b, a.dtype()), p.b_stride = transpose_b ? k : n;
  p.c = mutable_address(c, c.dtype()), p.c_stride = n, p.c_type = c.dtype();
  return p;
}

void run_on_cuda(const cuda::GemmProblem& p) {
  with_product_kernels(vendor_offers(p), [&] { return name_of(p); },
                       [&](const ProductKernels& kernels) { kernels.gemm(p, stream()); });
}

Tensor product(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
               const Tensor& a, const Tensor& b, DType dtype) {
  Tensor c(Shape{m, n}, dtype, a.device());
  const KernelScope scope(a.device());
  if (a.device() == Device::cuda) {
    run_on_cuda(gemm_problem(transpose_a, transpose_b, m, n, k, a, b, c));
    return c;
  }
  cpu::gemm(transpose_a, transpose_b, m, n, k, 1, in<float>(a), in<float>(b), 0, out<float>(c));
  return c;
}

// c (m,n) = a b^T + bias
void product_plus(int64_t m, int64_t n, int64_t k, const Tensor& a, const Tensor& b, const Tensor& bias,
                  Tensor& c) {
  const KernelScope scope(a.device());
  if (a.device() == Device::cuda) {
    cuda::GemmProblem p = gemm_problem(false, true, m, n, k, a, b, c);
    p.bias = in<float>(bias);
    return run_on_cuda(p);
  }
  float* values = out<float>(c);
  if (bias.defined())
    for (int64_t row = 0; row < m; ++row) std::copy_n(in<float>(bias), n, values + row * n);
  cpu::gemm(false, true, m, n, k, 1, in<float>(a), in<float>(b), bias.defined() ? 1 : 0, values);
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  GRAFT_CHECK(a.rank() == 2 && b.rank() == 2 && a.dim(1) == b.dim(0),
              "matmul: shapes {} and {} do not fit", a.shape(), b.shape());
  if (tracing({&a, &b})) return traced("matmul", {a, b}, {a.dim(0), b.dim(1)});
  int64_t m = a.dim(0), k = a.dim(1), n = b.dim(1);
  const DType type = a.dtype();
  return record("matmul", product(false, false, m, n, k, a, b, type),
                {{a, [=, b = b.detach()](const Tensor& dy) {
                    return product(false, true, m, k, n, dy, b, type); }},
                 {b, [=, a = a.detach()](const Tensor& dy) {
                    return product(true, false, k, n, m, a, dy, type); }}});
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias, Activation activation) {
  GRAFT_CHECK(x.rank() >= 1 && w.rank() == 2 && x.dim(-1) == w.dim(1),
              "linear: x {} and weight {} must be (...,I) and (O,I)", x.shape(), w.shape());
  int64_t inputs = w.dim(1), outputs = w.dim(0), n = inputs ? x.size() / inputs : 0;
  GRAFT_CHECK(!bias.defined() || bias.shape() == Shape{outputs}, "linear: bias {} for {} outputs",
              bias.shape(), outputs);
  Shape shape = x.shape();
  shape.back() = outputs;
  if (tracing({&x})) return activate(traced("linear", {x, w, bias}, shape), activation);
  Tensor y = empty_like(x, shape), weight = cast(w, x.dtype());
  product_plus(n, outputs, inputs, x, weight, bias, y);
  y = record("linear", y,
             {{x, [=, shape = x.shape()](const Tensor& dy) {
                 return product(false, false, n, inputs, outputs, dy, weight, dy.dtype()).reshape(shape); }},
              {w, [=, x = x.detach()](const Tensor& dy) {
                 return product(true, false, outputs, inputs, n, dy, x, DType::f32); }},
              {bias, sum_of_rows}});
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
