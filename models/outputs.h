// What a network says of a batch, for measuring and predicting.
#pragma once
#include "models/features.h"

namespace graft {

enum class Views { one, flip };  // flip: the image and its mirror (test-time augmentation)
Views views_named(const std::string& name);  // "none" or "flip"; else throws Fault::usage

// Logits (N, classes) f32 on the processor. With flip, logarithms of the mean of the probabilities
// of both views: softmax of those is that mean. In the mode the model is in; records nothing under
// NoGrad. `input` serves one view alone: it may know no pixels.
Tensor outputs_of(Classifier& model, const Batch& batch, const TrunkInputOf& input = {},
                  Views views = Views::one);

}  // namespace graft
