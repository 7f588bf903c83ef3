#include "apps/solving.h"

#include "apps/command.h"

namespace graft::app {
namespace {

void require_solution(const LbfgsResult& result, bool alone) {
  if (result.end == LbfgsResult::End::iterations)
    fail(Fault::internal, "--head-solver lbfgs: not converged after {} iterations, a gradient of "
         "{:.1e} is left; {}", result.iterations, result.gradient,
         alone ? "raise --weight-decay, or use --head-solver sgd"
               : "train the head step by step, with --probe-epochs 10");
  say(fmt::format("head solved: {} iterations, gradient {:.1e}{}", result.iterations, result.gradient,
                  result.end == LbfgsResult::End::precision ? ", no lower in single precision" : ""));
}

}  // namespace

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
  Features features = compute_features(model, training, settings.images, batch_done, settings.trunk);
  if (stopped()) return false;
  progress.trained_images = features.labels.size();
  const Device device = model.device();
  move_to(model.head_layer(), Device::cpu);
  LbfgsResult result = solve_head(model, features, settings.solver, stopped);
  move_to(model.head_layer(), device);
  if (stopped()) return false;
  require_solution(result, settings.phase.empty());
  double middle = now();
  progress.train_seconds = middle - begin;
  Evaluation val = evaluate(model, validation, stopped, settings.trunk);
  if (stopped()) return false;
  progress.eval_seconds = now() - middle;
  progress.history.push_back({1, result.value, val.loss, val.accuracy(), now() - begin,
                              settings.phase});
  progress.epoch = 1;
  progress.batch = 0;
  if (hooks.epoch_done) hooks.epoch_done();
  return true;
}

}  // namespace graft::app
