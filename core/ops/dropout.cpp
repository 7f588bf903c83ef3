#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/random.h"
#include "kernels/elementwise.h"

namespace graft {

// The mask is its own gradient, and is drawn again there: nothing is kept.
Tensor dropout(const Tensor& x, float p, uint64_t seed, uint64_t step) {
  GRAFT_CHECK(p >= 0 && p <= 1, "dropout: probability {} is not in [0, 1]", p);
  if (p == 0) return x;
  auto key = Random(seed, "dropout").key();
  auto masked = [mask = DropoutMask{p, {key[0], key[1]}, step}](const Tensor& x) {
    Tensor y = empty_like(x, x.shape());
    GRAFT_KERNEL(y, dropout, mask, x.size(), in<T>(x), out<T>(y));
    return y;
  };
  return record("dropout", masked(x), {{x, masked}});
}

Tensor drop_images(const Tensor& x, float p, uint64_t seed, uint64_t step) {
  GRAFT_CHECK(p >= 0 && p <= 1, "drop_images: probability {} is not in [0, 1]", p);
  GRAFT_CHECK(x.rank() > 0, "drop_images: x {} has no images", x.shape());
  if (p == 0) return x;
  auto masked = [=](const Tensor& x) {
    Random random(seed, "drop_images", step);
    Tensor factors({x.dim(0), 1}), y = empty_like(x, x.shape());
    for (int64_t n = 0; n < x.dim(0); ++n)
      factors.mutable_data()[n] = random.uniform() < p ? 0.0f : 1.0f / (1.0f - p);
    factors = factors.to(x.device()).to(x.dtype());
    const int64_t each = x.dim(0) ? x.size() / x.dim(0) : 0;
    GRAFT_KERNEL(y, mul_images, x.dim(0), each, 1, in<T>(x), in<T>(factors), out<T>(y));
    return y;
  };
  return record("drop_images", masked(x), {{x, masked}});
}

}  // namespace graft
