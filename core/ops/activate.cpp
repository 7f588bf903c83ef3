#include "core/autograd.h"
#include "core/ops.h"
#include "core/trace.h"
#include "kernels/elementwise.h"

namespace graft {

// Keeps y where f' follows from it (the next operation keeps it anyway), x elsewhere.
Tensor activate(const Tensor& x, Activation a) {
  if (a == Activation::none) return x;
  if (tracing({&x})) return traced("activate", {x}, x.shape(), a);
  Tensor y(x.shape());
  cpu::activate(a, y.size(), x.data(), y.mutable_data());
  bool from_output = gradient_from_output(a);
  auto grad = [a, from_output, kept = from_output ? y.detach() : x.detach()](const Tensor& dy) {
    Tensor dx(dy.shape());
    const float* x = from_output ? nullptr : kept.data();
    const float* y = from_output ? kept.data() : nullptr;
    cpu::activate_backward(a, dx.size(), dy.data(), x, y, dx.mutable_data());
    return dx;
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
