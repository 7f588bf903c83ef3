#include "apps/phases.h"

#include <algorithm>

#include "apps/solving.h"
#include "apps/trunk_precision.h"
#include "kernels/runtime.h"
#include "models/saved.h"

namespace graft::app {
namespace {

// lp-ft: the rate after the probe, and the largest norm of any gradient, or one step can undo the solved head.
constexpr double kTuneRate = 1e-4, kTuneClip = 1;
const std::string kStart = "start/", kMean = "mean/";

void put(TensorMap& extra, const std::string& prefix, const TensorMap& tensors) {
  for (auto& [path, tensor] : tensors) extra[prefix + path] = tensor;
}

TensorMap of(const TensorMap& extra, const std::string& prefix) {
  TensorMap tensors;
  for (auto& [name, tensor] : extra)
    if (name.starts_with(prefix)) tensors[name.substr(prefix.size())] = tensor;
  return tensors;
}

bool has_rates(const RecipeOptions& o) { return o.lr_decay != 1 || !o.lr_of.empty(); }

// A head was found behind norms that used the running statistics: with those of a batch, once their
// block learns, it would see other features. Plans that ask for norms or biases by name keep them.
std::string with_norms_as_they_were(const std::string& text) {
  FreezePlan plan = FreezePlan::parse(text);
  const bool asks = std::any_of(plan.terms.begin(), plan.terms.end(), [](const std::string& term) {
    return term == "norm-only" || term == "bias-only";
  });
  const bool all = !plan.norms.empty() && plan.norms.front().layers == "*";
  if (!all && !asks) plan.norms.insert(plan.norms.begin(), {NormPolicy::frozen, "*"});
  return plan.text();
}

std::unique_ptr<Optimizer> optimizer_of(Classifier& model, const OptimizerOptions& options) {
  try {
    return std::make_unique<Optimizer>(model, options);
  } catch (const cuda::OutOfMemory& e) {
    fail(Fault::os, "training: the gradients and moments of {} parameters do not fit into the memory of the "
         "CUDA device: {}; freeze more (--freeze trunk), or use --device cpu",
         parameter_count(model, true), e.what());
  }
}

void check_solver(const Phase& phase, Classifier& model) {
  if (phase.options.head_solver == "sgd") return;
  freeze_for(phase, model);
  require_solvable(model, phase.options.head_solver, phase.name);
}

bool finds_a_head(const Phase& phase, Classifier& model) {
  if (phase.options.head_solver != "sgd") return true;  // solved or stored
  freeze_for(phase, model);
  return class_weights(model.head_layer()).requires_grad();
}

}  // namespace

void make_recipe(TrainRun& s) {
  const RecipeOptions& o = s.options.recipes;
  if (has_rates(o)) s.rate_factors = rate_factors(*s.model, o.rates(), s.options.lr);
  if (o.l2_sp > 0) s.pull = std::make_unique<L2Sp>(*s.model, s.model->head_path(), o.l2_sp);
  s.phases = phases_of(s.options, *s.model);
}

std::map<std::string, std::string> hash_what_stays(TrainRun& s) {
  std::map<std::string, std::string> hashes = hash_frozen(*s.model);
  for (const Phase& phase : s.phases) {
    freeze_for(phase, *s.model);
    std::set<std::string> stays;
    for (auto& [path, tensor] : frozen_tensors(*s.model)) stays.insert(path);
    std::erase_if(hashes, [&](const auto& hash) { return !stays.contains(hash.first); });
  }
  return hashes;
}

// A new head behind a trained trunk knows no class, and a matrix at zero passes no gradient down.
void check_phases(TrainRun& s) {
  for (const Phase& phase : s.phases) check_solver(phase, *s.model);
  if (!s.new_head) return;
  for (const Phase& phase : s.phases)
    if (finds_a_head(phase, *s.model)) return;
  fail(Fault::usage, "--freeze {}: keeps the new head {} as it begins, knowing no class; let it learn, with !{}",
       s.options.freeze, s.model->head_path(), s.model->head_path());
}

void settle_trunk_precision(TrainRun& s) {
  const bool some = std::any_of(s.phases.begin(), s.phases.end(), [&](const Phase& phase) {
    freeze_for(phase, *s.model);
    return some_round(*s.model);
  });
  settle_trunk_precision(s.options.trunk_precision, s.place, some, s.options.freeze);
}

void enter_phase(TrainRun& s) {
  const Phase& phase = s.phase();
  const RecipeOptions& o = phase.options.recipes;
  freeze_for(phase, *s.model);
  s.average.reset();
  s.optimizer = optimizer_of(*s.model, learner_in(s).optimizer);
  open_cache(s);
  make_loaders(s);
  s.place.check_batch(*s.model, phase.options.batch,
                      std::max(s.training->largest_batch(), s.validation->largest_batch()));
  make_settings(s);
  if (o.ema > 0 && phase.options.head_solver == "sgd")
    s.average = std::make_unique<Ema>(*s.model, o.ema);
  s.settings.average = s.average.get();
  s.settings.pull = o.l2_sp > 0 ? s.pull.get() : nullptr;
}

Learner learner_in(const TrainRun& s) {
  const TrainOptions& o = s.phase().options;
  Learner how{o.head_solver == "sgd" ? o.lr : 0, optimizer_options(o)};
  how.optimizer.read_as = s.model->activations();
  if (has_rates(o.recipes)) how.optimizer.rate_factors = s.rate_factors;
  if (o.recipes.l2_sp > 0) how.optimizer.no_decay = s.pull->paths();
  return how;
}

bool next_phase(TrainRun& s) {
  Progress& p = s.progress;
  if (p.phase + 1 == int64_t(s.phases.size())) return false;
  ++p.phase;
  p.epoch = p.batch = p.step = p.images = 0;
  p.loss_sum = 0;
  p.loss_scale = {s.place.precision == "f16" ? 0x1p16 : 1};
  enter_phase(s);
  return true;
}

void put_recipe(Checkpoint& c, const TrainRun& s) {
  if (s.pull) put(c.extra, kStart, s.pull->state());
  if (!s.average) return;
  put(c.extra, kMean, s.average->state());
  c.integers["averaged"] = s.average->updates();
}

void get_recipe(const Checkpoint& c, TrainRun& s) {
  if (s.pull) s.pull->load_state(of(c.extra, kStart));
  if (!s.average) return;
  auto updates = c.integers.find("averaged");
  GRAFT_CHECK(updates != c.integers.end(), "checkpoint: 'averaged' is missing");
  s.average->load_state(of(c.extra, kMean), updates->second);
}

void settle_recipe(TrainOptions& o, const Command& command) {
  if (o.resume || o.recipes.recipe == "none") return;
  if (!command.given("--freeze")) o.freeze = "none";
  if (o.weights != "none") o.freeze = with_norms_as_they_were(o.freeze);
  if (o.recipes.recipe != "lp-ft") return;
  if (!command.given("--lr")) o.lr = kTuneRate;
  if (!command.given("--clip-norm")) o.clip_norm = kTuneClip;
}

}  // namespace graft::app
