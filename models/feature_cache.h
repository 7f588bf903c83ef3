// What comes into a network's trunk from batches of which some samples are known already: what the
// fixed beginning makes of a sample is computed once and kept. With Classifier::images_at_a_time()
// set, no bit on the processor differs from what would have been computed.
#pragma once
#include "io/feature_store.h"
#include "models/features.h"

namespace graft {

class FeatureCache {
 public:
  // Steps [0, end) are fixed; all of `store` was made by them. Both must outlive this.
  FeatureCache(Classifier& model, size_t end, FeatureStore& store)
      : model_(model), end_(end), store_(store) {}

  // A TrunkInputOf. A batch of a loader without LoaderOptions::known passes through and is not
  // counted.
  TrunkInput input(const Batch& batch);

  int64_t hits() const { return hits_; }      // samples that were known
  int64_t misses() const { return misses_; }  // samples that were computed, and then kept

 private:
  Tensor compute(const Batch& batch);
  Classifier& model_;
  const size_t end_;
  FeatureStore& store_;
  int64_t hits_ = 0, misses_ = 0;
};

}  // namespace graft
