// What one step of training costs behind the forward pass, and what a freeze plan saves of it: read
// from a trace of the network (core/trace.h), nothing is computed.
//
// Floating-point operations are those of convolutions, matrices and attention, a multiplication and
// an addition being two: the gradient of a weight costs what the forward pass does, so does that of
// its input, and each is made only where something wants it. Activations are the distinct values,
// in f32, that the recorded gradients read, and count for the layer that made them. Dropout makes
// values of its own. Left out is what does not grow with the batch: batch statistics, and parameters
// that are computed from others.
#pragma once
#include <string>
#include <vector>

#include "models/classifier.h"

namespace graft {

struct StepCost {
  double flops = 0;   // of the backward pass
  int64_t bytes = 0;  // of activations kept for it
  StepCost& operator+=(const StepCost& other);
};

struct LayerCost {
  std::string
      layer;         // path, of a layer with parameters: what has none counts for the one before it
  Shape output;      // (1,...), of the last operation that counts for it
  StepCost planned;  // as the model is now
  StepCost full;     // if everything learnt, norms with the batch's statistics
};

// Per image of side x side pixels, in the order of execution. The model stays as it is.
std::vector<LayerCost> training_costs(Classifier& model, int64_t side);

}  // namespace graft
