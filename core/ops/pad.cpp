#include "core/autograd.h"
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
  Tensor y(shape);
  const int64_t wide = y.dim(2) * y.dim(3), origin = top * wide + left * y.dim(3);
  const Strided small{h * width, width}, large{y.dim(1) * wide, wide};
  cpu::fill(y.size(), value, y.mutable_data());
  cpu::copy_rows(n, h, width, x.data(), small, y.mutable_data() + origin, large);
  return record("pad", y, {{x, [=, shape = x.shape()](const Tensor& dy) {
                              Tensor dx(shape);
                              cpu::copy_rows(n, h, width, dy.data() + origin, large,
                                             dx.mutable_data(), small);
                              return dx;
                            }}});
}

}  // namespace graft
