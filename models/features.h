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

// What a batch brings to a trunk, on any device: its pixels (n,size,size,3) u8, or what comes into
// the trunk's step `begin`.
struct TrunkInput {
  Tensor values;
  size_t begin = 0;
};
using TrunkInputOf = std::function<TrunkInput(const Batch&)>;  // empty: the pixels
TrunkInput trunk_input(const Batch& batch, const TrunkInputOf& input);

Tensor trunk_of(Classifier& model, const TrunkInput& input);  // in parts
Tensor logits_of(Classifier& model, const TrunkInput& input);
Tensor logits_of(Classifier& model, const Batch& batch, const TrunkInputOf& input = {});

// Throws Fault::usage when something before the head learns: features would not stay as they are.
void require_fixed_features(Classifier& model);

// Over one epoch of the loader, which has at most so many images. `stop` is asked after each batch;
// what there is by then is returned. Throws as require_fixed_features().
Features compute_features(Classifier& model, Loader& loader, int64_t images,
                          const std::function<bool()>& stop = {}, const TrunkInputOf& input = {});

}  // namespace graft
