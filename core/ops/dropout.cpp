#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/random.h"
#include "kernels/elementwise.h"

namespace graft {
namespace {

// What is drawn, and x times that. A mask is its own gradient, and is drawn again there: nothing is
// kept.
class Mask {
 public:
  Mask(float p, uint64_t seed, const char* purpose, const Tensor& step)
      : p_(p), key_(Random(seed, purpose).key()), step_(step), version_(step.version()) {}

  Tensor operator()(const Tensor& x) const {
    GRAFT_CHECK(step_.version() == version_,
                "dropout: the step was changed between forward and backward");
    Tensor y = empty_like(x, x.shape());
    GRAFT_KERNEL(y, dropout, kernel_mask(), x.size(), in<T>(x), out<T>(y));
    return y;
  }

 private:
  DropoutMask kernel_mask() const { return {p_, {key_[0], key_[1]}, in<int64_t>(step_)}; }

  float p_;
  std::array<uint32_t, 2> key_;
  Tensor step_;
  uint64_t version_;
};

void check(const char* op, float p, const Tensor& step) {
  GRAFT_CHECK(p >= 0 && p <= 1, "{}: probability {} is not in [0, 1]", op, p);
  GRAFT_CHECK(step.size() == 1 && step.dtype() == DType::i64,
              "{}: the step {} {} is not one i64", op, name_of(step.dtype()), step.shape());
}

}  // namespace

Tensor random_step(uint64_t step) { return Tensor::from<int64_t>({}, std::array{int64_t(step)}); }

Tensor dropout(const Tensor& x, float p, uint64_t seed, const Tensor& step) {
  check("dropout", p, step);
  if (p == 0) return x;
  const Mask mask(p, seed, "dropout", step.to(x.device()));
  return record("dropout", mask(x), {{x, mask}});
}

Tensor drop_images(const Tensor& x, float p, uint64_t seed, const Tensor& step) {
  check("drop_images", p, step);
  GRAFT_CHECK(x.rank() > 0, "drop_images: x {} has no images", x.shape());
  if (p == 0) return x;
  auto masked = [mask = Mask(p, seed, "drop_images", step.to(x.device()))](const Tensor& x) {
    const int64_t images = x.dim(0), each = images ? x.size() / images : 0;
    Tensor ones = empty_like(x, {images}), y = empty_like(x, x.shape());
    GRAFT_KERNEL(ones, fill, images, 1.0f, out<T>(ones));
    const Tensor factors = mask(ones);
    GRAFT_KERNEL(y, mul_images, images, each, 1, in<T>(x), in<T>(factors), out<T>(y));
    return y;
  };
  return record("drop_images", masked(x), {{x, masked}});
}

}  // namespace graft
