// A layer that draws in training, as a pure function of (seed, layer path, step, element): resuming
// at a step draws what an uninterrupted run would have drawn. The training loop sets seed and step.
#pragma once
#include "core/ops.h"
#include "layers/module.h"

namespace graft {

class RandomLayer : public Module {
 public:
  uint64_t seed = 0;
  Tensor step = random_step(0);
};

// Gives every such layer below root its own stream for this step. They share the step's number,
// which lies where the parameters are and, from the second call on, where it was: work that was
// captured (core/captured_work.h) finds the new one.
void set_random_step(Module& root, uint64_t seed, uint64_t step);

}  // namespace graft
