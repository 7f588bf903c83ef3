// Layer normalisation over the channels of every pixel: weight (C), bias (C).
#pragma once
#include "core/ops.h"
#include "layers/module.h"

namespace graft {

class LayerNorm : public Module {
 public:
  explicit LayerNorm(int64_t channels, float eps = 1e-6f)
      : weight({channels}), bias({channels}), eps(eps) {}
  Tensor forward(Tensor x) override { return layer_norm(x, weight, bias, eps); }
  std::string describe() const override { return fmt::format("LayerNorm {}", weight.size()); }
  GRAFT_FIELDS(weight, bias)

  Param weight, bias;
  float eps;
};

}  // namespace graft
