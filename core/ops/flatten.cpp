#include "core/ops.h"

namespace graft {

Tensor flatten(const Tensor& x) {
  GRAFT_CHECK(x.rank() >= 1, "flatten: shape {} has no first dimension", x.shape());
  int64_t rest = 1;
  for (int i = 1; i < x.rank(); ++i) rest *= x.dim(i);
  return x.reshape({x.dim(0), rest});
}

}  // namespace graft
