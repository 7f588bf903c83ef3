// What `graft train` is told, and how that is kept in a checkpoint.
#pragma once
#include <set>

#include "apps/command.h"
#include "apps/place.h"
#include "apps/recipe_options.h"
#include "apps/training.h"
#include "models/head_solver.h"

namespace graft::app {

struct TrainOptions {
  Common common;
  std::string model, until, weights = "none", data, out = "graft-run", freeze = "trunk";
  bool resume = false, partial = false, allow_nonfinite = false, strict = false,
       allow_single_class = false, allow_empty = false, verify = false, force = false;
  int64_t epochs = 10, batch = 32, neighbours = 0, solver_iterations = 1000;
  double lr = 1e-3, momentum = 0.9, weight_decay = 0, clip_norm = 0;
  bool nesterov = false, decay_all = false;
  std::string optimizer = "sgd", schedule = "constant", augment = "standard", class_weights = "none",
              head, head_solver = "sgd", trunk_precision = "f32", cuda_graph = "on",
              table = "blocks";
  PlaceOptions place;
  double warmup_epochs = 0, step_epochs = 3, gamma = 0.1, label_smoothing = 0, val_split = 0;
  double max_bad_images = 0.001;
  int64_t image_size = 0, loader_threads = -1, cache_mb = 256, device_cache_mb = -1;
  RecipeOptions recipes;
  std::string cache = "auto";  // of features: auto, off, memory or a folder
  int64_t cache_views = 0, cache_limit = 2048;

  Json to_json() const;  // what decides the result: not threads, not where it is written
};

void add_train_options(Command& command, TrainOptions& options);

// Throws when options were given that contradict each other.
// A head of neighbours is stored, by a solver of its own.
void settle_solver(TrainOptions& options, const Command& command);
void check_together(const TrainOptions& options, const Command& command);

// Takes the settings of a stopped run; throws when one that was given now differs from it. Only
// --data may differ: the images can have moved, and their fingerprint tells whether they are those.
void restore(TrainOptions& options, const Json& saved, const Command& command);

Augment augment_named(const std::string& name);                     // not "none"
OptimizerOptions optimizer_options(const TrainOptions& options);
HeadSolverOptions solver_options(const TrainOptions& options, const CrossEntropySpec& loss);
Schedule schedule_of(const TrainOptions& options, int64_t steps_per_epoch);

}  // namespace graft::app
