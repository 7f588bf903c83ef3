#include "apps/demo_learn.h"

#include "apps/command.h"
#include "apps/progress.h"
#include "apps/training.h"
#include "core/check.h"
#include "kernels/memory.h"

namespace graft::app {

Learned learn(Classifier& model, const std::string& data, const Recipe& recipe) {
  Split split = open_split(data);
  LoaderOptions options{.batch = recipe.batch, .threads = 1};
  options.cache_bytes = 64 << 20;
  Loader validation(split.val, Transform(model.preprocess), options);
  options.shuffle = true;
  options.seed = recipe.seed;
  options.min_last_batch = 2;
  Loader training(split.train, Transform(model.preprocess, Augment{.area_min = 0.5f}), options);
  Optimizer optimizer(model, {.nesterov = true, .weight_decay = 5e-4, .decay_all = false});
  TrainingSettings settings{.epochs = recipe.epochs, .seed = recipe.seed};
  settings.schedule = {.kind = Schedule::Kind::one_cycle,
                       .base = recipe.rate,
                       .total_steps = recipe.epochs * training.batches()};
  Progress progress;
  ProgressLine line;
  TrainingHooks hooks;
  if (recipe.show) {
    hooks.step_done = [&] {
      line.update(progress.epoch + 1, recipe.epochs, progress.batch, training.batches(),
                  progress.loss_sum / double(progress.images));
    };
    hooks.epoch_done = [&] {
      line.finish(fmt::format("  epoch {:2}/{}  train loss {:.3f}", progress.epoch, recipe.epochs,
                              progress.history.back().train_loss));
    };
  }
  cpu::reset_peak();
  double begin = now();
  train(model, optimizer, training, nullptr, settings, progress, hooks);
  Learned learned{.seconds = now() - begin, .trained = optimizer.parameters()};
  learned.peak_mb = double(cpu::memory_use().peak) / (1 << 20);
  learned.accuracy = evaluate(model, validation).accuracy();
  return learned;
}

}  // namespace graft::app
