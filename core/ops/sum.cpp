#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/ops/gradients.h"
#include "kernels/elementwise.h"
#include "kernels/reduce.h"

namespace graft {
namespace {

double sum_of(const Tensor& x) {
  const KernelScope scope(x.device());
  if constexpr (kWithCuda) {
    if (x.device() == Device::cuda) {
      double sum = 0;
      cuda::Scratch result(sizeof sum, stream());
      with_float_type(x.dtype(),
                      [&]<class T>() { cuda::sum(x.size(), in<T>(x), result.data<double>(), stream()); });
      cuda::copy(&sum, result.data(), sizeof sum, stream());
      return sum;
    }
  }
  return cpu::sum(x.size(), in<float>(x));
}

Tensor scaled_sum(const char* op, const Tensor& x, double factor) {
  Tensor y = Tensor::full({}, float(sum_of(x) * factor)).to(x.device());
  return record(op, y, {{x, [factor, shape = x.shape(), dtype = x.dtype()](const Tensor& dy) {
                           Tensor dx(shape, dtype, dy.device());
                           GRAFT_KERNEL(dx, fill, dx.size(), float(double(dy.item()) * factor),
                                        out<T>(dx));
                           return dx;
                         }}});
}

}  // namespace

Tensor sum_of_rows(const Tensor& x) {
  const int64_t columns = x.dim(-1);
  Tensor y = empty_f32(x, {columns});
  GRAFT_KERNEL(x, sum_rows, columns ? x.size() / columns : 0, columns, in<T>(x), out<float>(y));
  return y;
}

Tensor sum(const Tensor& x) { return scaled_sum("sum", x, 1.0); }

Tensor mean(const Tensor& x) {
  GRAFT_CHECK(x.size() > 0, "mean: shape {} has no elements", x.shape());
  return scaled_sum("mean", x, 1.0 / double(x.size()));
}

}  // namespace graft
