#include "apps/training.h"

#include <algorithm>
#include <cmath>

#include "apps/command.h"
#include "apps/step_faults.h"
#include "core/autograd.h"
#include "kernels/runtime.h"
#include "layers/accuracy.h"

namespace graft::app {
namespace {

Tensor evaluated(Classifier& model, const Batch& batch, const TrunkInputOf& input, Views views) {
  try {
    return outputs_of(model, batch, input, views);
  } catch (const cuda::OutOfMemory&) {
    refuse_evaluated_batch(model, batch, input, views);
  }
}

bool next_evaluated(Loader& loader, Batch& batch, Classifier& model, const TrunkInputOf& input, Views views) {
  try {
    return loader.next(batch);
  } catch (const cuda::OutOfMemory&) {
    refuse_evaluated_batch(model, unmade_batch(model, loader), input, views);
  }
}

}  // namespace

std::optional<Mix> mix_of(const Batch& batch, const TrainingSettings& settings, int64_t step) {
  if (!settings.mix.any()) return {};
  return draw_mix(settings.mix, batch.labels.size(), int(batch.images.dim(1)),
                  Random(settings.seed, "mix", uint64_t(settings.first_step + step)));
}

TrainingStep step_of(Classifier& model, Optimizer& optimizer, const TrainingSettings& settings) {
  TrainingStep step({.model = model,
                     .optimizer = optimizer,
                     .loss = settings.loss,
                     .input = settings.input,
                     .pull = settings.pull,
                     .average = settings.average},
                    settings.cuda_graph);
  step.refused = [](const std::string& why) {
    say(fmt::format("notice: no CUDA graph, steps go on call by call: {}", why));
  };
  return step;
}

double train_step(TrainingStep& step, Classifier& model, Optimizer& optimizer, const Batch& batch,
                  const TrainingSettings& settings, Progress& progress) {
  LossScale& scale = progress.loss_scale;
  const StepNumbers numbers{settings.seed, uint64_t(settings.first_step + progress.step),
                            settings.schedule.rate(progress.step), scale.value,
                            mix_of(batch, settings, progress.step)};
  StepResult result;
  try {
    result = step.run(batch, numbers);
  } catch (const cuda::OutOfMemory&) {
    refuse_batch(step, model, optimizer, batch, settings);
  }
  if (!std::isfinite(result.loss))
    refuse_loss(step, model, batch, numbers.mix, result.loss, progress.step);
  if (scale.value == 1) {
    if (!result.norm) optimizer.refuse_gradients();
  } else {
    result.norm ? scale.succeeded() : scale.failed();
  }
  return result.loss;
}

bool next_batch(Loader& training, Batch& batch, TrainingStep& step, Classifier& model,
                Optimizer& optimizer, const TrainingSettings& settings) {
  try {
    return training.next(batch);
  } catch (const cuda::OutOfMemory&) {
    refuse_batch(step, model, optimizer, unmade_batch(model, training), settings);
  }
}

// Of the records of this phase.
bool out_of_patience(const Progress& progress, int64_t patience) {
  if (patience == 0 || progress.epoch == 0) return false;
  auto end = progress.history.end(), begin = end - progress.epoch;
  auto worse = [](const EpochRecord& a, const EpochRecord& b) { return a.val_accuracy < b.val_accuracy; };
  return end - std::max_element(begin, end, worse) > patience;
}

Evaluation evaluate(Classifier& model, Loader& loader, const std::function<bool()>& stop,
                    const TrunkInputOf& input, Views views) {
  NoGrad no_grad;
  model.eval();
  Evaluation result;
  double loss_sum = 0;
  loader.start(0);
  for (Batch batch; next_evaluated(loader, batch, model, input, views);) {
    Tensor logits = evaluated(model, batch, input, views);
    int64_t n = batch.labels.size();
    result.images += n;
    result.top1 += count_correct(logits, batch.labels, 1);
    result.top5 += count_correct(logits, batch.labels, 5);
    const double loss = double(cross_entropy(logits, batch.labels).item());
    if (!std::isfinite(loss)) refuse_evaluated_loss(model, batch, loss, input, views);
    loss_sum += loss * double(n);
    if (stop && stop()) break;
  }
  result.loss = result.images ? loss_sum / double(result.images) : 0;
  return result;
}

bool train(Classifier& model, Optimizer& optimizer, Loader& training, Loader* validation,
           const TrainingSettings& settings, Progress& progress, const TrainingHooks& hooks) {
  TrainingStep step = step_of(model, optimizer, settings);
  while (progress.epoch < settings.epochs && !out_of_patience(progress, settings.patience)) {
    double begin = now();
    int64_t images_before = progress.images;
    auto account = [&] {
      progress.train_seconds += now() - begin;
      progress.trained_images += progress.images - images_before;
    };
    model.train();
    training.start(uint64_t(settings.first_epoch + progress.epoch), progress.batch);
    for (Batch batch; next_batch(training, batch, step, model, optimizer, settings);) {
      int64_t n = batch.labels.size();
      progress.loss_sum +=
          train_step(step, model, optimizer, batch, settings, progress) * double(n);
      progress.images += n;
      progress.batch = batch.number + 1;
      ++progress.step;
      if (hooks.step_done) hooks.step_done();
      if (!hooks.stop || !hooks.stop()) continue;
      account();
      return false;
    }
    GRAFT_CHECK(progress.images > 0, "training: no image of the training set could be used");
    account();
    double middle = now();
    Evaluation val;
    if (Averaged values(settings.average); validation)
      val = evaluate(model, *validation, hooks.stop, settings.input);
    if (hooks.stop && hooks.stop()) return false;  // it is made anew after resuming
    progress.eval_seconds += now() - middle;
    progress.history.push_back({progress.epoch + 1, progress.loss_sum / double(progress.images),
                                val.loss, val.accuracy(), now() - begin, settings.phase});
    ++progress.epoch;
    progress.batch = progress.images = 0;
    progress.loss_sum = 0;
    if (hooks.epoch_done) hooks.epoch_done();
  }
  return true;
}

}  // namespace graft::app
