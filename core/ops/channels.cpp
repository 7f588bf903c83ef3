#include "core/autograd.h"
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
  Tensor y(shape);
  cpu::copy_rows(1, rows, own, x.data() + begin, {0, all}, y.mutable_data(), {0, own});
  return record("channels", y, {{x, [=, shape = x.shape()](const Tensor& dy) {
                                   Tensor dx = Tensor::zeros(shape);
                                   cpu::copy_rows(1, rows, own, dy.data(), {0, own},
                                                  dx.mutable_data() + begin, {0, all});
                                   return dx;
                                 }}});
}

Tensor shuffle_channels(const Tensor& x, int groups) {
  GRAFT_CHECK(x.rank() > 0 && x.dim(-1) > 0 && groups > 0 && x.dim(-1) % groups == 0,
              "shuffle_channels: x {} in {} groups", x.shape(), groups);
  const int64_t rows = x.size() / x.dim(-1), each = x.dim(-1) / groups;
  if (tracing({&x})) return traced("shuffle_channels", {x}, x.shape(), groups);
  Tensor y(x.shape());
  cpu::transpose(rows, groups, each, x.data(), y.mutable_data());
  return record("shuffle_channels", y, {{x, [=](const Tensor& dy) {
                                           Tensor dx(dy.shape());
                                           cpu::transpose(rows, each, groups, dy.data(),
                                                          dx.mutable_data());
                                           return dx;
                                         }}});
}

}  // namespace graft
