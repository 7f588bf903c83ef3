// Dropout whose mask is a pure function of (seed, layer path, step, element): resuming at a step
// draws what an uninterrupted run would have drawn. The training loop sets seed and step.
#pragma once
#include "core/ops.h"
#include "layers/module.h"

namespace graft {

class Dropout : public Module {
 public:
  explicit Dropout(float p = 0.5f) : p(p) {}
  Tensor forward(Tensor x) override {
    return training() && p > 0 ? dropout(x, p, seed, step) : x;
  }
  std::string describe() const override { return fmt::format("Dropout {}", p); }

  float p;
  uint64_t seed = 0, step = 0;
};

// Gives every dropout below root its own stream for this step.
void set_random_step(Module& root, uint64_t seed, uint64_t step);

}  // namespace graft
