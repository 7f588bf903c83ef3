#include "core/autograd.h"
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
    Tensor y(x.shape());
    cpu::dropout(mask, x.size(), x.data(), y.mutable_data());
    return y;
  };
  return record("dropout", masked(x), {{x, masked}});
}

}  // namespace graft
