// 2-D convolution with the published tensors: weight (O,I/groups,H,W in files), bias (O).
#pragma once
#include "core/ops.h"
#include "layers/module.h"

namespace graft {

struct Sides {  // of a kernel or its padding; one number means both
  int h, w;
  Sides(int both) : h(both), w(both) {}
  Sides(int h, int w) : h(h), w(w) {}
};

struct Conv2dOptions {
  Sides kernel = 1;
  int stride = 1;
  Sides padding = 0;
  int dilation = 1, groups = 1;
  bool bias = true;
  bool same = false;  // TensorFlow's "same" in place of `padding`: see Conv2d::spec_for
};

class Conv2d : public Module {
 public:
  Conv2d(int64_t in, int64_t out, Conv2dOptions options);
  Tensor forward(Tensor x) override;
  std::string describe() const override;
  GRAFT_FIELDS(weight, bias)

  // `spec` with the padding for an image (N,H,W,C). With `same` the result has ceil(side / stride)
  // pixels; what the filter needs for that lies half before the image, the odd pixel behind it: a
  // stride of 2 pads an even side by one pixel less, and that one at its beginning.
  ConvSpec spec_for(const Tensor& x) const;

  Param weight;  // (O,H,W,I/groups)
  Param bias;    // (O), undefined without
  ConvSpec spec;
  bool same;
  // The filter as fprop wants it, while nothing here learns; filled by conv_norm_act. So one model
  // must not run on two threads at once.
  FrozenFilter frozen;
  Tensor frozen_bias;
};

}  // namespace graft
