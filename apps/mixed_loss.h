// The loss of images that are two: share CE(own labels) + (1 - share) CE(partners' labels), both of
// the same logits.
#pragma once
#include "core/ops.h"
#include "io/mixup.h"
#include "models/features.h"

namespace graft::app {

Tensor mixed_loss(Classifier& model, const Batch& batch, const Mix& mix,
                  const CrossEntropySpec& spec);

}  // namespace graft::app
