#include "core/autograd.h"
#include "core/ops.h"
#include "kernels/elementwise.h"
#include "kernels/reduce.h"

namespace graft {
namespace {

Tensor scaled_sum(const char* op, const Tensor& x, double factor) {
  Tensor y = Tensor::full({}, float(cpu::sum(x.size(), x.data()) * factor));
  return record(op, y, {{x, [factor, shape = x.shape()](const Tensor& dy) {
                           Tensor dx(shape);
                           cpu::fill(dx.size(), float(double(dy.item()) * factor),
                                     dx.mutable_data());
                           return dx;
                         }}});
}

}  // namespace

Tensor sum(const Tensor& x) { return scaled_sum("sum", x, 1.0); }

Tensor mean(const Tensor& x) {
  GRAFT_CHECK(x.size() > 0, "mean: shape {} has no elements", x.shape());
  return scaled_sum("mean", x, 1.0 / double(x.size()));
}

}  // namespace graft
