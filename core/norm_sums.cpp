#include "core/norm_sums.h"

#include "core/autograd.h"

namespace graft {

Tensor norm_sums(const Tensor& dy, const Tensor& mean) {
  const NormSums* sums = known_of<NormSums>(dy);
  return sums && sums->mean.impl() == mean.impl() ? sums->of : Tensor();
}

}  // namespace graft
