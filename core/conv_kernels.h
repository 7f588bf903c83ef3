// The three kernels of a convolution, for tensors on the processor and on a CUDA device. Without
// history and without checks of shapes: core/ops/conv2d.cpp is what a network uses.
#pragma once
#include "core/norm_source.h"
#include "core/ops.h"
#include "kernels/conv2d.h"

namespace graft {

struct ConvLayerEnd {  // y = activation(scale conv + bias + residual); undefined: none
  Tensor scale, bias;  // (k) f32
  Tensor residual;     // like y; may share its values
  Activation activation = Activation::none;
  bool moments = false;  // of y are wanted, where the kernel leaves them: core/moments.h
};

// w counts as x's type: on a CUDA device it must be that.
void conv_fprop(const Conv2dProblem& p, const Tensor& x, const Tensor& w, const ConvLayerEnd& end,
                Tensor& y);
// With weights that stay as they are: packed, or cast, at the first call. end.scale is theirs.
void conv_fprop(const Conv2dProblem& p, const Tensor& x, FrozenFilter& w, ConvLayerEnd end,
                Tensor& y);
// `norm`: the batch norm that made x, which may be null. dx then brings the sums that its gradient
// begins with, where the kernel leaves them: core/norm_sums.h.
Tensor conv_dgrad(const Conv2dProblem& p, const Tensor& dy, const Tensor& w,
                  const NormSource* norm);
// -> dw (k,r,s,c/groups) f32; dbias (k) f32 is written where it is defined.
Tensor conv_wgrad(const Conv2dProblem& p, const Tensor& x, const Tensor& dy, Tensor& dbias);

}  // namespace graft
