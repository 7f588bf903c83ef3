// What a frozen trunk makes of images, computed once: all that a head learns from.
#pragma once
#include <functional>

#include "io/loader.h"
#include "models/classifier.h"

namespace graft {

struct Features {
  Tensor values;  // (n,...) f32 on the processor, as Classifier::head takes them there
  Tensor labels;  // (n) i32
};

Tensor input_of(const Classifier& model, const Batch& batch);  // normalised pixels, where the model is

// What the trunk makes of a batch, where the model is. Empty: from its pixels, in parts.
using TrunkOf = std::function<Tensor(const Batch&)>;
Tensor logits_of(Classifier& model, const Batch& batch, const TrunkOf& trunk = {});

// Over one epoch of the loader, which has at most so many images. `stop` is asked after each batch;
// what there is by then is returned. Throws Fault::usage when something before the head learns.
Features compute_features(Classifier& model, Loader& loader, int64_t images,
                          const std::function<bool()>& stop = {}, const TrunkOf& trunk = {});

}  // namespace graft
