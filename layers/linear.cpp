#include "layers/linear.h"

#include "core/autograd.h"
#include "core/trace.h"

namespace graft {
namespace {

// Packing reads and writes the whole matrix, which pays from the second row on.
bool pays_to_pack(const Tensor& x) { return x.size() > x.dim(-1); }

}  // namespace

Tensor Linear::forward(Tensor x, const Tensor& bias) {
  if (recording({&weight, &bias})) frozen = {};  // packed for an evaluation
  if (recording({&weight, &bias}) || tracing({&x}) || !weight.owns_storage() || !pays_to_pack(x))
    return linear(x, weight, bias);
  if (frozen.version != 1 + weight.version()) {
    frozen.weight = weight.detach().reshape({weight.dim(0), 1, 1, weight.dim(1)});
    frozen.version = 1 + weight.version();
  }
  return linear(x, frozen, bias);
}

}  // namespace graft
