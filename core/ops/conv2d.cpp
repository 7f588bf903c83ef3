#include <optional>

#include "core/autograd.h"
#include "core/captured_work.h"
#include "core/cast.h"
#include "core/conv_kernels.h"
#include "core/dispatch.h"
#include "core/moments.h"
#include "core/ops/gradients.h"
#include "core/trace.h"
#include "kernels/elementwise.h"

namespace graft {
namespace {

Conv2dProblem problem_of(const Tensor& x, const Shape& w, const ConvSpec& s) {
  GRAFT_CHECK(x.rank() == 4 && w.size() == 4, "conv2d: x {} and weight {} must be (N,H,W,C) and "
              "(O,R,S,C/groups)", x.shape(), w);
  GRAFT_CHECK(s.groups > 0 && x.dim(3) == w[3] * s.groups && w[0] % s.groups == 0,
              "conv2d: x {} and weight {} do not fit with {} groups", x.shape(), w, s.groups);
  Conv2dProblem p{.n = x.dim(0), .h = x.dim(1), .w = x.dim(2), .c = x.dim(3),
                  .k = w[0], .r = w[1], .s = w[2]};
  p.stride_h = s.stride[0], p.stride_w = s.stride[1];
  p.pad_top = s.padding[0], p.pad_left = s.padding[1];
  p.pad_bottom = s.padding[2], p.pad_right = s.padding[3];
  p.dilation_h = s.dilation[0], p.dilation_w = s.dilation[1];
  p.groups = s.groups;
  bool fits = p.dilation_h * (p.r - 1) + 1 <= p.h + p.pad_top + p.pad_bottom &&
              p.dilation_w * (p.s - 1) + 1 <= p.w + p.pad_left + p.pad_right;
  GRAFT_CHECK(p.stride_h > 0 && p.stride_w > 0 && p.dilation_h > 0 && p.dilation_w > 0 && fits,
              "conv2d: a filter {} does not fit into x {} with padding {}", w, x.shape(),
              s.padding);
  return p;
}

// True when nobody but the caller's argument can see this storage, so it may be overwritten.
bool last_handle(const Tensor& t) {
  return t.defined() && t.impl().use_count() == 1 && t.impl()->storage.use_count() == 1;
}

Shape result_shape(const Conv2dProblem& p, const Tensor& bias, const Tensor& residual) {
  Shape shape{p.n, p.out_h(), p.out_w(), p.k};
  GRAFT_CHECK(!bias.defined() || bias.shape() == Shape{p.k}, "conv2d: bias {} for {} channels",
              bias.shape(), p.k);
  GRAFT_CHECK(!residual.defined() || residual.shape() == shape, "conv2d: residual {} for result {}",
              residual.shape(), shape);
  return shape;
}

// The batch norm before the convolution, if one made x: the gradient of x may begin its own.
std::optional<NormSource> norm_before(const Tensor& x) {
  const NormSource* source = norm_behind(x);
  return source ? std::optional(*source) : std::nullopt;
}

// The gradient of x goes through the filter as the kernel took it.
GradFunction gradient_of_input(const Conv2dProblem& p, const Tensor& x, const Tensor& w) {
  return [p, w = w.detach(), norm = norm_before(x)](const Tensor& d) {
    return conv_dgrad(p, d, w, norm ? &*norm : nullptr);
  };
}

Tensor scaled(const Tensor& weight, const Tensor& scale) {
  if (!scale.defined()) return weight;
  Tensor filter = empty_like(weight, weight.shape());
  const int64_t k = filter.dim(0), each = k ? filter.size() / k : 0;
  GRAFT_KERNEL(filter, mul_images, k, each, 1, in<T>(weight), in<T>(scale), out<T>(filter));
  return filter;
}

// The filter that a gradient goes through in 16 bits. What was made while work is captured ends with it.
Tensor filter_of_gradient(FrozenFilter& w, DType dtype) {
  if (!w.scale.defined()) return cast(w.weight, dtype);
  if (w.scaled.defined() && w.scaled_version == w.version && w.scaled.dtype() == dtype)
    return w.scaled;
  Tensor made = scaled(w.weight, w.scale).to(dtype);
  if (!capturing()) w.scaled = made, w.scaled_version = w.version;
  return made;
}

// Through a filter that stays. In f32 it is unpacked and scaled while this runs: from the forward pass to
// then its packed form alone takes memory. In 16 bits it is half as large, and kept.
GradFunction gradient_of_input(const Conv2dProblem& p, const Tensor& x, FrozenFilter& w) {
  if (x.dtype() != w.weight.dtype())
    return gradient_of_input(p, x, filter_of_gradient(w, x.dtype()));
  return [p, weight = w.weight, scale = w.scale, norm = norm_before(x)](const Tensor& d) {
    Tensor dx = conv_dgrad(p, d, scaled(weight, scale), norm ? &*norm : nullptr);
    weight.put_away();
    return dx;
  };
}

// Records y = conv2d(x, w) with what a wanted gradient reads: x for dw, y for the activation, and
// what gradient_of_x captured. w is undefined where it stays.
Tensor record_conv2d(const Conv2dProblem& p, Tensor y, const Tensor& x, const Tensor& w,
                     const Tensor& bias, const Tensor& residual, Activation activation,
                     GradFunction gradient_of_x) {
  Tensor kept_x = w.requires_grad() ? x.detach() : Tensor();
  Tensor kept_y = activation == Activation::none ? Tensor() : y.detach();
  JointGrad grads = [=](const Tensor& dy, const Needed& needed) -> std::vector<Tensor> {
    // by the output alone: see the check in conv2d
    Tensor d = kept_y.defined() ? activation_gradient(activation, dy, {}, kept_y) : dy;
    Tensor dx, dw, db;
    if (needed[0]) dx = gradient_of_x(d);
    if (needed[2]) db = needed[1] ? empty_f32(d, {p.k}) : sum_of_rows(d);
    if (needed[1]) dw = conv_wgrad(p, kept_x, d, db);
    return {dx, dw, db, needed[3] ? d : Tensor()};
  };
  return record("conv2d", std::move(y), {x, w, bias, residual}, std::move(grads));
}

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvSpec& spec,
              Activation activation, Tensor residual, bool moments) {
  bool recorded = recording({&x, &w, &bias, &residual});
  if (recorded && !gradient_from_output(activation))  // its gradient needs the value before it
    return activate(conv2d(x, w, bias, spec, Activation::none, std::move(residual)), activation);
  Conv2dProblem p = problem_of(x, w.shape(), spec);
  Shape shape = result_shape(p, bias, residual);
  if (tracing({&x, &residual})) {
    Tensor y = traced("conv2d", {x, w, bias}, shape, spec);
    return activate(residual.defined() ? add(y, residual) : y, activation);
  }
  Tensor y = !recorded && last_handle(residual) ? residual.detach() : empty_like(x, shape);
  Tensor filter = cast(w, x.dtype());
  if (y.size() > 0) conv_fprop(p, x, filter, {{}, bias, residual, activation, moments}, y);
  if (!recorded) return y;
  GradFunction gradient_of_x = x.requires_grad() ? gradient_of_input(p, x, filter) : nullptr;
  return record_conv2d(p, y, x, w, bias, residual, activation, std::move(gradient_of_x));
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvSpec& spec,
              Activation activation, Tensor residual) {
  return conv2d(x, w, bias, spec, activation, std::move(residual), false);
}

Tensor conv2d_with_moments(const Tensor& x, const Tensor& w, const Tensor& bias,
                           const ConvSpec& spec) {
  return conv2d(x, w, bias, spec, Activation::none, {}, true);
}

Tensor conv2d(const Tensor& x, FrozenFilter& w, const Tensor& bias, const ConvSpec& spec,
              Activation activation, Tensor residual) {
  if (tracing({&x, &residual}))
    return conv2d(x, scaled(w.weight, w.scale), bias, spec, activation, std::move(residual));
  bool recorded = recording({&x, &bias, &residual});
  if (recorded && !gradient_from_output(activation))
    return activate(conv2d(x, w, bias, spec, Activation::none, std::move(residual)), activation);
  Conv2dProblem p = problem_of(x, w.weight.shape(), spec);
  Shape shape = result_shape(p, bias, residual);
  Tensor y = !recorded && last_handle(residual) ? residual.detach() : empty_like(x, shape);
  if (y.size() == 0) return y;
  conv_fprop(p, x, w, {{}, bias, residual, activation}, y);
  w.weight.put_away();
  if (!recorded) return y;
  GradFunction gradient_of_x = x.requires_grad() ? gradient_of_input(p, x, w) : nullptr;
  return record_conv2d(p, y, x, {}, bias, residual, activation, std::move(gradient_of_x));
}

}  // namespace graft
