// A layer that draws in training, as a pure function of (seed, layer path, step, element): resuming
// at a step draws what an uninterrupted run would have drawn. The training loop sets seed and step.
#pragma once
#include "layers/module.h"

namespace graft {

class RandomLayer : public Module {
 public:
  uint64_t seed = 0, step = 0;
};

// Gives every such layer below root its own stream for this step.
void set_random_step(Module& root, uint64_t seed, uint64_t step);

}  // namespace graft
