#include "core/autograd.h"
#include "core/ops.h"
#include "core/trace.h"
#include "kernels/elementwise.h"
#include "kernels/layout.h"
#include "kernels/reduce.h"

namespace graft {

Tensor add_tokens(const Tensor& x, const Tensor& first, const Tensor& positions) {
  GRAFT_CHECK(x.rank() == 3 && first.size() == x.dim(2) &&
                  positions.size() == (x.dim(1) + 1) * x.dim(2),
              "add_tokens: x {}, first token {}, positions {}", x.shape(), first.shape(),
              positions.shape());
  const int64_t n = x.dim(0), c = x.dim(2), rest = x.dim(1) * c, all = rest + c;
  if (tracing({&x})) return traced("add_tokens", {x, first, positions}, {n, x.dim(1) + 1, c});
  Tensor y({n, x.dim(1) + 1, c});
  for (int64_t image = 0; image < n; ++image) {
    float* to = y.mutable_data() + image * all;
    cpu::add(c, first.data(), positions.data(), to);
    cpu::add(rest, x.data() + image * rest, positions.data() + c, to + c);
  }
  return record("add_tokens", y,
                {{x, [=, shape = x.shape()](const Tensor& dy) {
                    Tensor dx(shape);
                    cpu::copy_rows(1, n, rest, dy.data() + c, {0, all}, dx.mutable_data(), {0, rest});
                    return dx;
                  }},
                 {first, [=, shape = first.shape()](const Tensor& dy) {
                    Tensor rows({n, c}), sum(shape);
                    cpu::copy_rows(1, n, c, dy.data(), {0, all}, rows.mutable_data(), {0, c});
                    cpu::sum_rows(n, c, rows.data(), sum.mutable_data());
                    return sum;
                  }},
                 {positions, [=, shape = positions.shape()](const Tensor& dy) {
                    Tensor sum(shape);
                    cpu::sum_rows(n, all, dy.data(), sum.mutable_data());
                    return sum;
                  }}});
}

}  // namespace graft
