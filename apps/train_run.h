// All that one run of graft train works with, made from its options step by step.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "apps/place.h"
#include "apps/recipe.h"
#include "apps/train_cache.h"
#include "apps/train_options.h"
#include "io/dataset.h"
#include "models/classifier.h"

namespace graft::app {

struct TrainRun {
  TrainOptions options;
  std::vector<Phase> phases;  // what the options come to; one without a recipe
  const Phase& phase() const { return phases.at(size_t(progress.phase)); }
  Place place;
  std::unique_ptr<Classifier> model;
  std::map<std::string, std::string> origin;
  Split data;
  std::unique_ptr<TrainCache> cache;  // of features; null: off
  std::unique_ptr<Loader> training, validation;
  std::unique_ptr<Optimizer> optimizer;
  std::map<std::string, double> rate_factors;
  std::unique_ptr<L2Sp> pull;
  std::unique_ptr<Ema> average;
  TrainingSettings settings;
  Progress progress;
  std::map<std::string, std::string> frozen_hashes;
  double load_seconds = 0;
  bool replaces = false;  // an earlier run in the same folder
  bool new_head = false;  // behind a trained trunk
};

void load_weights(TrainRun& s);   // the model, from --weights or from nothing
void open_data(TrainRun& s);      // the images, in the order of the model's classes where it knows them
void fit_head(TrainRun& s);       // keeps a head that knows exactly these classes, else a new one
void open_cache(TrainRun& s);     // after freezing
std::unique_ptr<Loader> validation_loader(const TrainRun& s, TrainCache* cache);
void make_loaders(TrainRun& s);   // after freezing: batch norms that learn need batches
void make_settings(TrainRun& s);  // what the loop is told
// (classes) f32: the mean number of images of a class by that of its own; 1 where it has none.
Tensor balanced_weights(const Dataset& data);
std::string launch_plan(const TrainRun& s);  // how steps reach a CUDA device; empty without one

}  // namespace graft::app
