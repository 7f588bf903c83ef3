#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/trace.h"
#include "kernels/elementwise.h"
#include "kernels/layout.h"

namespace graft {

Tensor channels(const Tensor& x, int64_t begin, int64_t end) {
  GRAFT_CHECK(x.rank() > 0 && begin >= 0 && begin < end && end <= x.dim(-1),
              "channels: [{}, {}) of x {}", begin, end, x.shape());
  const int64_t all = x.dim(-1), own = end - begin, rows = x.size() / all;
  Shape shape = x.shape();
  shape.back() = own;
  if (tracing({&x})) return traced("channels", {x}, shape, std::array{begin, end});
  Tensor y = empty_like(x, shape);
  GRAFT_KERNEL(y, copy_rows, 1, rows, own, in<T>(x) + begin, {0, all}, out<T>(y), {0, own});
  return record("channels", y, {{x, [=, shape = x.shape()](const Tensor& dy) {
                                   Tensor dx = Tensor::zeros(shape, dy.dtype(), dy.device());
                                   GRAFT_KERNEL(dx, copy_rows, 1, rows, own, in<T>(dy), {0, own},
                                                out<T>(dx) + begin, {0, all});
                                   return dx;
                                 }}});
}

Tensor shuffle_channels(const Tensor& x, int groups) {
  GRAFT_CHECK(x.rank() > 0 && x.dim(-1) > 0 && groups > 0 && x.dim(-1) % groups == 0,
              "shuffle_channels: x {} in {} groups", x.shape(), groups);
  const int64_t rows = x.size() / x.dim(-1), each = x.dim(-1) / groups;
  if (tracing({&x})) return traced("shuffle_channels", {x}, x.shape(), groups);
  Tensor y = empty_like(x, x.shape());
  GRAFT_KERNEL(y, transpose, rows, groups, each, in<T>(x), out<T>(y));
  return record("shuffle_channels", y, {{x, [=](const Tensor& dy) {
                                           Tensor dx = empty_like(dy, dy.shape());
                                           GRAFT_KERNEL(dx, transpose, rows, each, groups, in<T>(dy),
                                                        out<T>(dx));
                                           return dx;
                                         }}});
}

}  // namespace graft
