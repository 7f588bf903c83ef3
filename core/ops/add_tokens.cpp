#include "core/autograd.h"
#include "core/cast.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/ops/gradients.h"
#include "core/trace.h"
#include "kernels/elementwise.h"
#include "kernels/layout.h"

namespace graft {

Tensor add_tokens(const Tensor& x, const Tensor& first, const Tensor& positions) {
  GRAFT_CHECK(x.rank() == 3 && first.size() == x.dim(2) &&
                  positions.size() == (x.dim(1) + 1) * x.dim(2),
              "add_tokens: x {}, first token {}, positions {}", x.shape(), first.shape(),
              positions.shape());
  const int64_t n = x.dim(0), c = x.dim(2), rest = x.dim(1) * c, all = rest + c;
  if (tracing({&x})) return traced("add_tokens", {x, first, positions}, {n, x.dim(1) + 1, c});
  const Tensor token = cast(first, x.dtype()), places = cast(positions, x.dtype());
  Tensor y = empty_like(x, {n, x.dim(1) + 1, c});
  GRAFT_KERNEL(y, copy_rows, 1, n, c, in<T>(token), {0, 0}, out<T>(y), {0, all});
  GRAFT_KERNEL(y, copy_rows, 1, n, rest, in<T>(x), {0, rest}, out<T>(y) + c, {0, all});
  GRAFT_KERNEL(y, add_columns, n, all, in<T>(y), in<T>(places), out<T>(y));
  return record("add_tokens", y,
                {{x, [=, shape = x.shape()](const Tensor& dy) {
                    Tensor dx = empty_like(dy, shape);
                    GRAFT_KERNEL(dy, copy_rows, 1, n, rest, in<T>(dy) + c, {0, all}, out<T>(dx), {0, rest});
                    return dx;
                  }},
                 {first, [=, shape = first.shape()](const Tensor& dy) {
                    Tensor rows = empty_like(dy, {n, c});
                    GRAFT_KERNEL(dy, copy_rows, 1, n, c, in<T>(dy), {0, all}, out<T>(rows), {0, c});
                    return sum_of_rows(rows).reshape(shape);
                  }},
                 {positions, [=, shape = positions.shape()](const Tensor& dy) {
                    return sum_of_rows(dy.reshape({n, all})).reshape(shape);
                  }}});
}

}  // namespace graft
