#include "core/autograd.h"
#include "core/ops.h"
#include "core/trace.h"
#include "kernels/conv2d.h"
#include "kernels/elementwise.h"
#include "kernels/reduce.h"

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

// Gradient before the activation. It takes the output only: see the check in conv2d.
Tensor before_activation(const Tensor& dy, const Tensor& y, Activation a) {
  if (a == Activation::none) return dy;
  Tensor d(dy.shape());
  cpu::activate_backward(a, d.size(), dy.data(), nullptr, y.data(), d.mutable_data());
  return d;
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

ConvEpilogue epilogue_of(const Tensor& bias, const Tensor& residual, Activation activation) {
  return {.bias = bias.defined() ? bias.data() : nullptr,
          .residual = residual.defined() ? residual.data() : nullptr,
          .activation = activation};
}

// Records y = conv2d(x, w) with what a wanted gradient reads: w for dx, x for dw, y for the
// activation.
Tensor record_conv2d(const Conv2dProblem& p, Tensor y, const Tensor& x, const Tensor& w,
                     const Tensor& bias, const Tensor& residual, Activation activation) {
  Tensor kept_x = w.requires_grad() ? x.detach() : Tensor();
  Tensor kept_w = x.requires_grad() ? w.detach() : Tensor();
  Tensor kept_y = activation == Activation::none ? Tensor() : y.detach();
  JointGrad grads = [=](const Tensor& dy, const Needed& needed) -> std::vector<Tensor> {
    Tensor d = before_activation(dy, kept_y, activation);
    Tensor dx, dw, db;
    if (needed[0]) {
      dx = Tensor({p.n, p.h, p.w, p.c});
      cpu::conv2d_dgrad(p, d.data(), kept_w.data(), dx.mutable_data());
    }
    if (needed[2]) db = Tensor({p.k});
    if (needed[1]) {
      dw = Tensor({p.k, p.r, p.s, p.c / p.groups});
      cpu::conv2d_wgrad(p, kept_x.data(), d.data(), dw.mutable_data(),
                        needed[2] ? db.mutable_data() : nullptr);
    } else if (needed[2]) {
      cpu::sum_rows(d.size() / p.k, p.k, d.data(), db.mutable_data());
    }
    return {dx, dw, db, needed[3] ? d : Tensor()};
  };
  return record("conv2d", std::move(y), {x, w, bias, residual}, std::move(grads));
}

// The filter that a gradient goes through.
Tensor scaled(const FrozenFilter& w) {
  if (!w.scale.defined()) return w.weight;
  Tensor filter(w.weight.shape());
  const int64_t each = filter.size() / filter.dim(0);
  const float* from = w.weight.data();
  float* to = filter.mutable_data();
  for (int64_t k = 0; k < filter.dim(0); ++k)
    cpu::scale(each, w.scale.data()[k], from + k * each, to + k * each);
  return filter;
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvSpec& spec,
              Activation activation, Tensor residual) {
  bool recorded = recording({&x, &w, &bias, &residual});
  if (recorded && !gradient_from_output(activation))  // its gradient needs the value before it
    return activate(conv2d(x, w, bias, spec, Activation::none, std::move(residual)), activation);
  Conv2dProblem p = problem_of(x, w.shape(), spec);
  Shape shape = result_shape(p, bias, residual);
  if (tracing({&x, &residual})) {
    Tensor y = traced("conv2d", {x, w, bias}, shape, spec);
    return activate(residual.defined() ? add(y, residual) : y, activation);
  }
  ConvEpilogue epilogue = epilogue_of(bias, residual, activation);
  Tensor y = !recorded && last_handle(residual) ? residual.detach() : Tensor(shape);
  if (y.size() > 0) cpu::conv2d_fprop(p, x.data(), w.data(), epilogue, y.mutable_data());
  return recorded ? record_conv2d(p, y, x, w, bias, residual, activation) : y;
}

Tensor conv2d(const Tensor& x, FrozenFilter& w, const Tensor& bias, const ConvSpec& spec,
              Activation activation, Tensor residual) {
  if (tracing({&x, &residual}))
    return conv2d(x, scaled(w), bias, spec, activation, std::move(residual));
  bool recorded = recording({&x, &bias, &residual});
  if (recorded && !gradient_from_output(activation))
    return activate(conv2d(x, w, bias, spec, Activation::none, std::move(residual)), activation);
  Conv2dProblem p = problem_of(x, w.weight.shape(), spec);
  Shape shape = result_shape(p, bias, residual);
  ConvEpilogue epilogue = epilogue_of(bias, residual, activation);
  if (w.scale.defined()) epilogue.scale = w.scale.data();
  Tensor y = !recorded && last_handle(residual) ? residual.detach() : Tensor(shape);
  if (y.size() == 0) return y;
  bool packed = cpu::conv2d_packed(p, epilogue, w.packed, w.version);
  cpu::conv2d_fprop(p, x.data(), packed ? nullptr : w.weight.data(), epilogue, y.mutable_data(),
                    &w.packed, w.version);
  if (!packed) w.weight.can_be_made(cpu::unpacker(w.packed));
  if (recorded) return record_conv2d(p, y, x, scaled(w), bias, residual, activation);
  w.weight.put_away();
  return y;
}

}  // namespace graft
