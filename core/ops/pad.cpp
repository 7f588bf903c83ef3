#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/trace.h"
#include "kernels/elementwise.h"
#include "kernels/layout.h"

namespace graft {

Tensor pad(const Tensor& x, std::array<int, 4> padding, float value) {
  auto [top, left, bottom, right] = padding;
  GRAFT_CHECK(x.rank() == 4, "pad: x {} must be (N,H,W,C)", x.shape());
  GRAFT_CHECK(top >= 0 && left >= 0 && bottom >= 0 && right >= 0, "pad: negative padding {}",
              padding);
  const int64_t n = x.dim(0), h = x.dim(1), width = x.dim(2) * x.dim(3);
  const Shape shape{n, h + top + bottom, x.dim(2) + left + right, x.dim(3)};
  if (tracing({&x})) return traced("pad", {x}, shape, std::pair(padding, value));
  Tensor y = empty_like(x, shape);
  const int64_t wide = y.dim(2) * y.dim(3), origin = top * wide + left * y.dim(3);
  const Strided small{h * width, width}, large{y.dim(1) * wide, wide};
  GRAFT_KERNEL(y, fill, y.size(), value, out<T>(y));
  GRAFT_KERNEL(y, copy_rows, n, h, width, in<T>(x), small, out<T>(y) + origin, large);
  return record("pad", y, {{x, [=, shape = x.shape()](const Tensor& dy) {
                              Tensor dx = empty_like(dy, shape);
                              GRAFT_KERNEL(dx, copy_rows, n, h, width, in<T>(dy) + origin, large, out<T>(dx),
                                           small);
                              return dx;
                            }}});
}

}  // namespace graft
