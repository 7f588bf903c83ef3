// Classes told apart by direction: logits_k = e^l cos(x, w_k), l learnt, e^l at most 100. As the
// baseline++ of Chen et al., "A closer look at few-shot classification", ICLR 2019, section 3.3;
// the limit is that of CLIP (Radford et al., ICML 2021). weight (K,C); log_scale (1), which is l.
#pragma once
#include "layers/module.h"

namespace graft {

class CosineHead : public Module {
 public:
  CosineHead(int64_t features, int64_t classes) : weight({classes, features}), log_scale({1}) {}
  Tensor forward(Tensor x) override;  // (...,C) -> (...,K)
  std::string describe() const override {
    return fmt::format("Cosine {} -> {}", weight.dim(1), weight.dim(0));
  }
  GRAFT_FIELDS(weight, log_scale)

  Param weight, log_scale;
};

}  // namespace graft
