#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/ops/gradients.h"
#include "core/trace.h"
#include "kernels/elementwise.h"

namespace graft {

Tensor activation_gradient(Activation a, const Tensor& dy, const Tensor& x, const Tensor& y) {
  Tensor dx = empty_like(dy, dy.shape());
  GRAFT_KERNEL(dx, activate_backward, a, dx.size(), in<T>(dy), in<T>(x), in<T>(y), out<T>(dx));
  return dx;
}

// Keeps y where f' follows from it (the next operation keeps it anyway), x elsewhere.
Tensor activate(const Tensor& x, Activation a) {
  if (a == Activation::none) return x;
  if (tracing({&x})) return traced("activate", {x}, x.shape(), a);
  Tensor y = empty_like(x, x.shape());
  GRAFT_KERNEL(y, activate, a, y.size(), in<T>(x), out<T>(y));
  bool from_output = gradient_from_output(a);
  auto grad = [a, from_output, kept = from_output ? y.detach() : x.detach()](const Tensor& dy) {
    return activation_gradient(a, dy, from_output ? Tensor() : kept, from_output ? kept : Tensor());
  };
  return record(name_of(a), y, {{x, std::move(grad)}});
}

Tensor relu(const Tensor& x) { return activate(x, Activation::relu); }
Tensor relu6(const Tensor& x) { return activate(x, Activation::relu6); }
Tensor sigmoid(const Tensor& x) { return activate(x, Activation::sigmoid); }
Tensor silu(const Tensor& x) { return activate(x, Activation::silu); }
Tensor gelu(const Tensor& x) { return activate(x, Activation::gelu); }
Tensor hardswish(const Tensor& x) { return activate(x, Activation::hardswish); }
Tensor hardsigmoid(const Tensor& x) { return activate(x, Activation::hardsigmoid); }

}  // namespace graft
