// 2-D convolution with the published tensors: weight (O,I/groups,H,W in files), bias (O).
#pragma once
#include "core/ops.h"
#include "layers/module.h"

namespace graft {

struct Conv2dOptions {
  int kernel = 1, stride = 1, padding = 0, dilation = 1, groups = 1;
  bool bias = true;
};

class Conv2d : public Module {
 public:
  Conv2d(int64_t in, int64_t out, Conv2dOptions options);
  Tensor forward(Tensor x) override;
  std::string describe() const override;
  GRAFT_FIELDS(weight, bias)

  Param weight;  // (O,H,W,I/groups)
  Param bias;    // (O), undefined without
  ConvSpec spec;
  // The filter as fprop wants it, while nothing here learns; filled by conv_norm_act. So one model
  // must not run on two threads at once.
  FrozenFilter frozen;
  Tensor frozen_bias;
};

}  // namespace graft
