#include "apps/solving.h"

#include "apps/command.h"
#include "apps/step_faults.h"
#include "kernels/runtime.h"
#include "models/scaled_head.h"

namespace graft::app {
namespace {

// On a CUDA device a batch may be too large for its memory.
Features features_of(Classifier& model, Loader& loader, int64_t images, const std::function<bool()>& stop,
                     const TrunkInputOf& input) {
  bool made = false;  // the batch, of which no features are there yet
  auto begin = [&](const Batch& batch) { return made = true, trunk_input(batch, input); };
  auto done = [&] { return made = false, stop && stop(); };
  try {
    return compute_features(model, loader, images, done, begin);
  } catch (const cuda::OutOfMemory&) {
    refuse_features(model, made ? blank_batch(model, loader) : unmade_batch(model, loader), input);
  }
}

void require_solved(const LbfgsResult& result, bool alone) {
  if (!result.solved())
    fail(Fault::internal, "{}: not converged after {} iterations, a gradient of {:.1e} is left; {}",
         alone ? "--head-solver lbfgs" : "the head of the probe", result.iterations, result.gradient,
         alone ? "raise --weight-decay or --solver-iterations, or use --head-solver sgd"
               : "raise --solver-iterations, or train the head step by step, with --probe-epochs 10");
}

double by_lbfgs(Classifier& model, Features& features, const SolvingSettings& settings,
                const std::function<bool()>& stopped) {
  LbfgsResult result = solve_head(model, features, settings.solver, stopped);
  if (stopped()) return result.value;
  require_solved(result, settings.phase.empty());
  say(told(result, settings.solver.lbfgs));
  return result.value;
}

double by_ridge(Classifier& model, const Features& features, const SolvingSettings& settings,
                Progress& progress) {
  const RidgeResult r = solve_ridge(model, features, settings.solver.l2);
  say(fmt::format("head solved: ridge, penalty {:g}{}; each image by the others: accuracy {:.4f}", r.l2,
                  settings.solver.l2 > 0 ? "" : " chosen by leaving one out", r.accuracy));
  progress.solution.insert({{"l2", r.l2}, {"leave_one_out_accuracy", r.accuracy},
                            {"leave_one_out_error", r.error}, {"factor", r.factor}});
  return r.loss;
}

double by_neighbours(Classifier& model, const Features& features, Progress& progress) {
  const int64_t k = model.head_form().width;
  const NeighbourResult r = store_neighbours(model, features, k);
  const int64_t images = int64_t(features.labels.size());
  say(fmt::format("head stored: {} images, {} vote; each image by the others: accuracy {:.4f}", images,
                  k < images ? fmt::format("{} nearest", k) : fmt::format("all (of {} asked for)", k), r.accuracy));
  progress.solution["leave_one_out_accuracy"] = r.accuracy;
  return r.loss;
}

// What the features are worth without a head; false when it was stopped.
bool ask_neighbours(Classifier& model, const Features& features, Loader& validation,
                    const SolvingSettings& settings, Progress& progress,
                    const std::function<bool()>& stopped) {
  const NeighbourSpec spec{.k = settings.neighbours};
  const int64_t classes = model.classes();
  const double left_out = neighbour_accuracy_left_out(features, classes, spec);
  const Features val = features_of(model, validation, settings.val_images, stopped, settings.input);
  if (stopped()) return false;
  const double accuracy = neighbour_accuracy(features, val, classes, spec);
  say(fmt::format("{} nearest neighbours: accuracy {:.4f} of training images by the others, {:.4f} to "
                  "validate", spec.k, left_out, accuracy));
  progress.solution["neighbours_leave_one_out_accuracy"] = left_out;
  progress.solution["neighbours_val_accuracy"] = accuracy;
  return true;
}

}  // namespace

std::string told(const LbfgsResult& solution, const LbfgsOptions& asked) {
  std::string text = fmt::format("head solved: {} iterations, gradient {:.1e}{}", solution.iterations,
                                 solution.gradient, solution.end == LbfgsResult::End::precision
                                                        ? ", no lower in single precision" : "");
  if (solution.rough(asked))
    text += fmt::format("\nwarning: the head is solved roughly: a gradient of {:.1e} is left where {:.1e} "
                        "was asked for", solution.gradient, asked.tolerance);
  return text;
}

void require_solvable(Classifier& model, const std::string& method, const std::string& phase) {
  require_fixed_features(model);
  if (method == "knn") return;
  if (model.head_form() != HeadForm{} && !phase.empty())
    fail(Fault::usage, "--recipe lp-ft: a head of the form {} cannot be solved for; train it step by step, "
         "with --probe-epochs 10, or give --head linear", model.head_form().text());
  linear_head(model);
}

bool solve(Classifier& model, Loader& training, Loader& validation,
           const SolvingSettings& settings, Progress& progress, const TrainingHooks& hooks) {
  if (progress.epoch > 0) return true;  // a finished run that is resumed
  auto stopped = [&] { return hooks.stop && hooks.stop(); };
  double begin = now();
  progress.batch = 0;  // a stopped run begins anew
  auto batch_done = [&] {
    ++progress.batch;
    if (hooks.step_done) hooks.step_done();
    return stopped();
  };
  Features features = features_of(model, training, settings.images, batch_done, settings.input);
  if (stopped()) return false;
  progress.trained_images = features.labels.size();
  if (settings.neighbours &&
      !ask_neighbours(model, features, validation, settings, progress, stopped))
    return false;
  const Device device = model.device();
  move_to(model.head_layer(), Device::cpu);
  const double loss = settings.method == "knn"     ? by_neighbours(model, features, progress)
                      : settings.method == "ridge" ? by_ridge(model, features, settings, progress)
                                                   : by_lbfgs(model, features, settings, stopped);
  move_to(model.head_layer(), device);
  if (stopped()) return false;
  double middle = now();
  progress.train_seconds = middle - begin;
  Evaluation val = evaluate(model, validation, stopped, settings.input);
  if (stopped()) return false;
  progress.eval_seconds = now() - middle;
  progress.history.push_back({1, loss, val.loss, val.accuracy(), now() - begin, settings.phase});
  progress.epoch = 1;
  progress.batch = 0;
  if (hooks.epoch_done) hooks.epoch_done();
  return true;
}

}  // namespace graft::app
