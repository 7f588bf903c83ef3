// Dropout: each element is zero with probability p in training.
#pragma once
#include "core/ops.h"
#include "layers/random_layer.h"

namespace graft {

class Dropout : public RandomLayer {
 public:
  explicit Dropout(float p = 0.5f) : p(p) {}
  Tensor forward(Tensor x) override {
    return training() && p > 0 ? dropout(x, p, seed, step) : x;
  }
  std::string describe() const override { return fmt::format("Dropout {}", p); }

  float p;
};

}  // namespace graft
