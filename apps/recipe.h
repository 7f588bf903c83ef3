// A run as a row of phases, each of them a training of its own with options of its own, from where
// the one before ended: what one would do by hand. Without a recipe there is one phase, the run
// itself.
#pragma once
#include <string>
#include <vector>

#include "apps/train_options.h"
#include "models/classifier.h"

namespace graft::app {

struct Phase {
  std::string name;  // "probe"; empty where there is only one
  TrainOptions options;
  int64_t first_epoch =
      0;                // of the order and the augmentation of images; of the steps it draws for
  int64_t blocks = -1;  // how many from the head on may learn; negative: all
};

// `model` is frozen as the plan of the options says. Throws Fault::usage when the plan leaves
// nothing for the recipe.
std::vector<Phase> phases_of(const TrainOptions& options, Classifier& model);

// What learns in a phase: what the plan of its options lets learn in its blocks.
void freeze_for(const Phase& phase, Classifier& model);

}  // namespace graft::app
