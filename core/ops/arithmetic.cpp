#include "core/autograd.h"
#include "core/ops.h"
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
  Tensor y(a.shape());
  if (columns)
    cpu::mul_columns(rows_of(a), a.dim(-1), a.data(), b.data(), y.mutable_data());
  else
    cpu::mul(a.size(), a.data(), b.data(), y.mutable_data());
  return y;
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  bool columns = broadcasts("add", a, b);
  if (tracing({&a, &b})) return traced("add", {a, b}, a.shape());
  Tensor y(a.shape());
  if (columns)
    cpu::add_columns(rows_of(a), a.dim(-1), a.data(), b.data(), y.mutable_data());
  else
    cpu::add(a.size(), a.data(), b.data(), y.mutable_data());
  return record("add", y,
                {{a, [](const Tensor& dy) { return dy; }},
                 {b, [=](const Tensor& dy) {
                    if (!columns) return dy;
                    Tensor db({dy.dim(-1)});
                    cpu::sum_rows(rows_of(dy), dy.dim(-1), dy.data(), db.mutable_data());
                    return db;
                  }}});
}

Tensor mul(const Tensor& a, const Tensor& b) {
  bool columns = broadcasts("mul", a, b);
  if (tracing({&a, &b})) return traced("mul", {a, b}, a.shape());
  Tensor y = product(a, b, columns);
  return record("mul", y,
                {{a, [=, b = b.detach()](const Tensor& dy) { return product(dy, b, columns); }},
                 {b, [=, a = a.detach()](const Tensor& dy) {
                    if (!columns) return product(dy, a, false);
                    Tensor db({dy.dim(-1)});
                    cpu::dot_rows(rows_of(dy), dy.dim(-1), dy.data(), a.data(), db.mutable_data());
                    return db;
                  }}});
}

Tensor scale(const Tensor& x, float factor) {
  if (tracing({&x})) return traced("scale", {x}, x.shape(), factor);
  auto scaled = [factor](const Tensor& x) {
    Tensor y(x.shape());
    cpu::scale(x.size(), factor, x.data(), y.mutable_data());
    return y;
  };
  return record("scale", scaled(x), {{x, scaled}});
}

}  // namespace graft
