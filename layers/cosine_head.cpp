#include "layers/cosine_head.h"

#include "core/ops.h"
#include "layers/directions.h"

namespace graft {

Tensor CosineHead::forward(Tensor x) {
  return linear(directions(x, log_scale), directions(weight), {});
}

}  // namespace graft
