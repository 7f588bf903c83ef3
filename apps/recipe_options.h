// The options of graft train that are recipes: ways to fine-tune that papers have measured. Each is
// off by default, and its evidence stands in its help.
#pragma once
#include <string>
#include <vector>

#include "apps/command.h"
#include "layers/layer_rates.h"

namespace graft::app {

struct RecipeOptions {
  std::string recipe = "none", sampling = "shuffled";
  int64_t probe_epochs = 0, stage_epochs = 1, patience = 0;
  double probe_lr = 0.01, lr_decay = 1, l2_sp = 0, ema = 0, mixup = 0, cutmix = 0;
  std::vector<std::string> lr_of;  // "layer4.*=0.0001"
  bool find_lr = false;

  RatePlan rates() const;
};

void add_recipe_options(Command& command, RecipeOptions& options);

// Calls field(name, member) for everything that decides what a run computes.
template <class Options, class Field>
void each_recipe_setting(Options& o, const Field& field) {
  field("recipe", o.recipe), field("probe-epochs", o.probe_epochs), field("probe-lr", o.probe_lr);
  field("stage-epochs", o.stage_epochs), field("patience", o.patience);
  field("lr-decay", o.lr_decay), field("lr-of", o.lr_of), field("l2-sp", o.l2_sp);
  field("ema", o.ema), field("mixup", o.mixup), field("cutmix", o.cutmix);
  field("sampling", o.sampling);
}

// Throws Fault::usage when options were given that contradict each other or those beside them.
struct BesideRecipe {
  bool loop;           // trained step by step, not solved
  std::string solver;  // what was given, where it is solved
  bool scratch;        // nothing was pretrained
  bool resume, class_weights;
};
void check_recipe(const RecipeOptions& options, const BesideRecipe& beside,
                  const Command& command);

}  // namespace graft::app
