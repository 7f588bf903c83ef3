// Stochastic depth (Huang et al., ECCV 2016), by image: a branch is left out with probability p.
// It teaches weights not to rely on each other; where nothing up to here learns there is nothing to
// teach, so a frozen trunk stays a fixed function in training, too.
#pragma once
#include "core/autograd.h"
#include "core/ops.h"
#include "layers/random_layer.h"

namespace graft {

class StochasticDepth : public RandomLayer {
 public:
  explicit StochasticDepth(float p) : p(p) {}
  Tensor forward(Tensor x) override {
    return draws() && recording({&x}) ? drop_images(x, p, seed, step) : x;
  }
  std::string describe() const override { return fmt::format("StochasticDepth {}", p); }
  bool draws() const { return training() && p > 0; }

  float p;
};

}  // namespace graft
