#include "apps/recipe.h"

#include <algorithm>

#include "core/check.h"
#include "layers/batch_norm.h"
#include "layers/blocks.h"

namespace graft::app {
namespace {

bool learns(Classifier& model, const std::vector<std::string>& paths) {
  bool any = false;
  each_param(model, [&](const std::string& path, Param& p) {
    any |= p.requires_grad() && std::find(paths.begin(), paths.end(), path) != paths.end();
  });
  return any;
}

void require_more_than_the_head(const TrainOptions& o, Classifier& model) {
  bool more = false;
  each_param(model, [&](const std::string& path, Param& p) {
    more |= p.requires_grad() && !path.starts_with(model.head_path() + ".");
  });
  if (!more)
    fail(Fault::usage,
         "--recipe {}: --freeze {} leaves nothing but the head to learn; use --freeze none, "
         "or until:LAYER",
         o.recipes.recipe, o.freeze);
}

std::vector<Phase> probe_and_tune(const TrainOptions& o) {
  TrainOptions probe = o, tune = o;
  probe.freeze = "trunk";
  probe.recipes.l2_sp = probe.recipes.ema = 0;
  probe.recipes.lr_decay = 1;
  probe.recipes.lr_of.clear();
  if (o.recipes.probe_epochs == 0) {
    probe.head_solver = "lbfgs";
    probe.weight_decay = 0;  // the solver has a default of its own
    probe.recipes.sampling = "shuffled";
  } else {
    probe.epochs = o.recipes.probe_epochs;
    probe.lr = o.recipes.probe_lr;
  }
  return {{"probe", probe}, {"tune", tune}};
}

// Of the blocks that learn, how many from the head on are awake with each of them: 1, 2, ...
std::vector<int64_t> depths_that_learn(Classifier& model) {
  const std::vector<Block> blocks = blocks_of(model);
  std::vector<int64_t> depths;
  for (size_t n = 1; n <= blocks.size(); ++n)
    if (learns(model, blocks[blocks.size() - n].parameters)) depths.push_back(int64_t(n));
  return depths;
}

// One more block that learns with each stage, from the head down; several where the epochs are too
// few for that, evenly, so that all of them learn in the last stage.
std::vector<Phase> stages(const TrainOptions& o, Classifier& model) {
  const std::vector<int64_t> depths = depths_that_learn(model);
  const int64_t last = int64_t(depths.size()) - 1, length = o.recipes.stage_epochs;
  const int64_t count = std::min(last + 1, o.epochs / length);
  if (last < 1)
    fail(Fault::usage, "--recipe gradual: --freeze {} leaves one block to learn; use --recipe none, or let "
         "more learn", o.freeze);
  if (count < 2)
    fail(Fault::usage, "--recipe gradual: --epochs {} is not enough for two stages of --stage-epochs {}; "
         "use --epochs {}", o.epochs, length, 2 * length);
  std::vector<Phase> phases;
  for (int64_t i = 0; i < count; ++i) {
    Phase stage{fmt::format("stage {}", i + 1), o};
    stage.first_epoch = i * length;
    stage.options.epochs = i + 1 < count ? length : o.epochs - stage.first_epoch;
    stage.blocks = depths[size_t((i * last + count - 2) / (count - 1))];  // rounded up
    phases.push_back(stage);
  }
  return phases;
}

}  // namespace

std::vector<Phase> phases_of(const TrainOptions& o, Classifier& model) {
  if (o.recipes.recipe == "none") return {{"", o}};
  require_more_than_the_head(o, model);
  return o.recipes.recipe == "lp-ft" ? probe_and_tune(o) : stages(o, model);
}

void freeze_for(const Phase& phase, Classifier& model) {
  freeze(model, FreezePlan::parse(phase.options.freeze));
  if (phase.blocks < 0) return;
  std::vector<Block> blocks = blocks_of(model);
  std::vector<std::string> waiting;
  for (size_t i = 0; i + size_t(phase.blocks) < blocks.size(); ++i)
    waiting.insert(waiting.end(), blocks[i].parameters.begin(), blocks[i].parameters.end());
  auto waits = [&](const std::string& path) {
    return std::find(waiting.begin(), waiting.end(), path) != waiting.end();
  };
  each_param(model, [&](const std::string& path, Param& p) {
    if (waits(path)) p.requires_grad(false);
  });
  each_module(model, [&](const std::string& path, Module& m) {
    auto* norm = dynamic_cast<BatchNorm2d*>(&m);
    if (norm && waits(path + ".weight")) norm->policy(NormPolicy::frozen);
  });
}

}  // namespace graft::app
