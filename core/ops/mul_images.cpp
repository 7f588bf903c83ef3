#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/trace.h"
#include "kernels/elementwise.h"
#include "kernels/reduce.h"

namespace graft {
namespace {

Tensor product(const Tensor& x, const Tensor& s) {
  const int64_t channels = x.dim(3), pixels = x.dim(1) * x.dim(2);
  Tensor y = empty_like(x, x.shape());
  GRAFT_KERNEL(y, mul_images, x.dim(0), pixels, channels, in<T>(x), in<T>(s), out<T>(y));
  return y;
}

Tensor sums_over_pixels(const Tensor& a, const Tensor& b) {
  const int64_t channels = a.dim(3), pixels = a.dim(1) * a.dim(2);
  Tensor y = empty_f32(a, {a.dim(0), 1, 1, channels});
  GRAFT_KERNEL(a, dot_images, a.dim(0), pixels, channels, in<T>(a), in<T>(b), out<float>(y));
  return y.to(a.dtype());
}

}  // namespace

Tensor mul_images(const Tensor& x, const Tensor& s) {
  GRAFT_CHECK(x.rank() == 4 && s.shape() == Shape({x.dim(0), 1, 1, x.dim(3)}),
              "mul_images: x {} and factors {} must be (N,H,W,C) and (N,1,1,C)", x.shape(),
              s.shape());
  if (tracing({&x, &s})) return traced("mul_images", {x, s}, x.shape());
  return record("mul_images", product(x, s),
                {{x, [s = s.detach()](const Tensor& dy) { return product(dy, s); }},
                 {s, [x = x.detach()](const Tensor& dy) { return sums_over_pixels(dy, x); }}});
}

}  // namespace graft
