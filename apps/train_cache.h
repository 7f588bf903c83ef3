// The feature cache of graft train: what the frozen beginning of a network makes of an image is
// computed once, and kept in memory or in a folder that later runs find.
#pragma once
#include <memory>
#include <optional>
#include <string>

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
  ~TrainCache() { save(true); }  // whatever ended the run

  // For a loader of the training set or of the others: what is kept of its samples.
  void join(LoaderOptions& loader, bool training);
  TrunkInputOf input();

  void save(bool at_the_end);  // to the folder, when there is one and much is new; never throws
  Json report() const;

 private:
  TrainCache(Classifier& model, Prefix prefix, bool training, int64_t most_bytes);
  void read(const std::string& folder, int64_t most_on_disk);  // what it has; never throws
  const Prefix prefix_;
  const std::string network_;  // 64 hex digits: what decides a feature besides the sample's key
  const bool training_;        // the training set is kept, too, not only what validates
  const int64_t most_;         // bytes
  FeatureStore store_;
  FeatureCache cache_;
  std::optional<FeatureFolder> folder_;
  bool writable_ = false;
  int64_t saved_ = 0, saved_misses_ = 0;  // samples in the file; misses by then
};

Json report_of(const TrainCache* cache);  // for --json; of none, too

void check_cache_options(const TrainOptions& options);  // throws Fault::usage

}  // namespace graft::app
