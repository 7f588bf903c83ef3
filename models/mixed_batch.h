// A batch whose images are two in one each (io/mixup.h): what mixes them, as tensors, which a step
// that was captured finds where they were; and the loss of both labels.
#pragma once
#include "core/mixed_pixels.h"
#include "core/ops.h"
#include "io/mixup.h"
#include "models/classifier.h"

namespace graft {

struct MixTensors {
  PixelMix pixels;
  Tensor labels;       // (N) i32, the partners'
  Tensor share, rest;  // () f32, of the loss: of the own labels, and of those
};
MixTensors tensors_of(const Mix& mix, const Tensor& labels);  // all on the processor

// What the model is given, of pixels that are where it is.
Tensor mixed_input(const Classifier& model, const Tensor& pixels, const PixelMix& mix);
// share CE(labels) + rest CE(partners' labels), both of the same logits.
Tensor mixed_loss(const Tensor& logits, const Tensor& labels, const MixTensors& mix,
                  const CrossEntropySpec& spec);

}  // namespace graft
