#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/ops/gradients.h"
#include "core/trace.h"
#include "kernels/elementwise.h"
#include "kernels/reduce.h"

namespace graft {
namespace {

// True when b is (C) along the last dimension of a; false when the shapes are the same.
bool broadcasts(const char* op, const Tensor& a, const Tensor& b) {
  if (a.shape() == b.shape()) return false;
  GRAFT_CHECK(b.rank() == 1 && a.rank() > 0 && b.dim(0) == a.dim(-1),
              "{}: shapes {} and {} are neither the same nor (..., C) and (C)", op, a.shape(),
              b.shape());
  return true;
}

int64_t rows_of(const Tensor& t) { return t.dim(-1) ? t.size() / t.dim(-1) : 0; }

// a b, or a b[column]; without history.
Tensor product(const Tensor& a, const Tensor& b, bool columns) {
  Tensor y = empty_like(a, a.shape()), factors = b.to(a.dtype());
  if (columns)
    GRAFT_KERNEL(y, mul_columns, rows_of(a), a.dim(-1), in<T>(a), in<T>(factors), out<T>(y));
  else
    GRAFT_KERNEL(y, mul, a.size(), in<T>(a), in<T>(factors), out<T>(y));
  return y;
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  bool columns = broadcasts("add", a, b);
  if (tracing({&a, &b})) return traced("add", {a, b}, a.shape());
  Tensor y = empty_like(a, a.shape()), terms = b.to(a.dtype());
  if (columns)
    GRAFT_KERNEL(y, add_columns, rows_of(a), a.dim(-1), in<T>(a), in<T>(terms), out<T>(y));
  else
    GRAFT_KERNEL(y, add, a.size(), in<T>(a), in<T>(terms), out<T>(y));
  return record("add", y,
                {{a, [](const Tensor& dy) { return dy; }},
                 {b, [columns, type = b.dtype()](const Tensor& dy) {
                    return (columns ? sum_of_rows(dy) : dy).to(type);
                  }}});
}

Tensor mul(const Tensor& a, const Tensor& b) {
  bool columns = broadcasts("mul", a, b);
  if (tracing({&a, &b})) return traced("mul", {a, b}, a.shape());
  Tensor y = product(a, b, columns);
  return record("mul", y,
                {{a, [=, b = b.detach()](const Tensor& dy) { return product(dy, b, columns); }},
                 {b, [columns, type = b.dtype(), a = a.detach()](const Tensor& dy) {
                    if (!columns) return product(dy, a, false).to(type);
                    Tensor db = empty_f32(dy, {dy.dim(-1)});
                    GRAFT_KERNEL(dy, dot_rows, rows_of(dy), dy.dim(-1), in<T>(dy), in<T>(a), out<float>(db));
                    return db.to(type);
                  }}});
}

Tensor scale(const Tensor& x, float factor) {
  if (tracing({&x})) return traced("scale", {x}, x.shape(), factor);
  auto scaled = [factor](const Tensor& x) {
    Tensor y = empty_like(x, x.shape());
    GRAFT_KERNEL(y, scale, x.size(), factor, in<T>(x), out<T>(y));
    return y;
  };
  return record("scale", scaled(x), {{x, scaled}});
}

Tensor scale(const Tensor& x, const Tensor& factor) {
  return mul(x.reshape({-1, 1}), factor.reshape({1})).reshape(x.shape());
}

}  // namespace graft
