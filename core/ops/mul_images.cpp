#include "core/autograd.h"
#include "core/ops.h"
#include "core/trace.h"
#include "kernels/elementwise.h"
#include "kernels/reduce.h"

namespace graft {
namespace {

Tensor product(const Tensor& x, const Tensor& s) {
  const int64_t channels = x.dim(3), pixels = x.dim(1) * x.dim(2), size = pixels * channels;
  Tensor y(x.shape());
  float* values = y.mutable_data();
  for (int64_t n = 0; n < x.dim(0); ++n)
    cpu::mul_columns(pixels, channels, x.data() + n * size, s.data() + n * channels,
                     values + n * size);
  return y;
}

Tensor sums_over_pixels(const Tensor& a, const Tensor& b) {
  const int64_t channels = a.dim(3), pixels = a.dim(1) * a.dim(2), size = pixels * channels;
  Tensor y({a.dim(0), 1, 1, channels});
  float* values = y.mutable_data();
  for (int64_t n = 0; n < a.dim(0); ++n)
    cpu::dot_rows(pixels, channels, a.data() + n * size, b.data() + n * size,
                  values + n * channels);
  return y;
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
