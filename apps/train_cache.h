// The feature cache of graft train: what the frozen beginning of a network makes of an image is
// computed once, and kept in memory or in a folder that later runs find.
#pragma once
#include <memory>
#include <optional>

#include "apps/train_options.h"
#include "io/dataset.h"
#include "io/feature_folder.h"
#include "models/feature_cache.h"
#include "models/prefix.h"

namespace graft::app {

class TrainCache {
 public:
  // Null when nothing is to be kept; says why where a user would ask. The model is placed and
  // frozen.
  static std::unique_ptr<TrainCache> open(const TrainOptions& options, Classifier& model,
                                          const Split& data);

  // For a loader of the training set or of the others: what is kept of its samples.
  void join(LoaderOptions& loader, bool training);
  TrunkInputOf input();

  void save(bool at_the_end);  // to the folder, when there is one and much is new; never throws
  Json report() const;

 private:
  TrainCache(const TrainOptions& options, Classifier& model, Prefix prefix, bool training);
  void read();
  Prefix prefix_;
  bool training_;  // the training set is kept, too, not only what validates
  FeatureStore store_;
  FeatureCache cache_;
  std::optional<FeatureFolder> folder_;
  bool writable_ = true;
  int64_t saved_ = 0, saved_misses_ = 0;  // samples in the file; misses by then
};

Json report_of(const TrainCache* cache);  // for --json; of none, too

void check_cache_options(const TrainOptions& options);  // throws Fault::usage

}  // namespace graft::app
