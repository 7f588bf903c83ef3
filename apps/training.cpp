#include "apps/training.h"

#include <algorithm>
#include <cmath>

#include "apps/command.h"
#include "core/autograd.h"
#include "kernels/runtime.h"
#include "layers/accuracy.h"
#include "layers/dropout.h"
#include "layers/finite.h"

namespace graft::app {
namespace {

[[noreturn]] void refuse_loss(Classifier& model, const Batch& batch, double loss, int64_t step,
                              const TrunkInputOf& input) {
  std::string where = first_not_finite(model, [&] { logits_of(model, batch, input); });
  fail(Fault::internal, "training: the loss is {} at step {}{}; lower the learning rate (--lr), clip the "
       "gradient (--clip-norm), or look for broken weights", loss, step,
       where.empty() ? "" : fmt::format(", not finite from {} on", where));
}

std::optional<Mix> mix_of(const Batch& batch, const TrainingSettings& settings, int64_t step) {
  if (!settings.mix.any()) return {};
  return draw_mix(settings.mix, batch.labels.size(), int(batch.images.dim(1)),
                  Random(settings.seed, "mix", uint64_t(settings.first_step + step)));
}

// The largest half, quarter, ... of the batch of which one step fits into the device's memory; 0: none.
int64_t images_that_fit(TrainingStep& step, Classifier& model, Optimizer& optimizer,
                        const Batch& batch, const TrainingSettings& settings) {
  if (settings.input) return 0;  // the pixels of some are not here
  model.images_at_a_time(0);
  for (int64_t n = batch.labels.size() / 2; n > 0; n /= 2) {
    try {
      optimizer.zero_grad();
      const Batch part{batch.images.rows(0, n), batch.labels.rows(0, n), {}};
      step.loss_of(part, mix_of(part, settings, 0)).backward();
      return n;
    } catch (const cuda::OutOfMemory&) {
    } catch (const Error&) {  // batch norm over too few values
      return 0;
    }
  }
  return 0;
}

[[noreturn]] void refuse_batch(TrainingStep& step, Classifier& model, Optimizer& optimizer,
                               const Batch& batch, const TrainingSettings& settings) {
  const int64_t images = batch.labels.size();
  const int64_t fits = images_that_fit(step, model, optimizer, batch, settings);
  std::string what_to_do = "freeze more (--freeze trunk) or take a smaller --image-size";
  if (fits > 0) what_to_do = fmt::format("one of {} does: --batch {}", fits, fits);
  else if (settings.input && images > 1) what_to_do = fmt::format("try --batch {}", images / 2);
  fail(Fault::os, "training: a batch of {} images does not fit into the memory of the CUDA device; {}",
       images, what_to_do);
}

}  // namespace

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
  const StepResult result = step.run(batch, numbers);
  if (!std::isfinite(result.loss))
    refuse_loss(model, batch, result.loss, progress.step, settings.input);
  if (scale.value == 1) {
    if (!result.norm) optimizer.refuse_gradients();
  } else {
    result.norm ? scale.succeeded() : scale.failed();
  }
  return result.loss;
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
  for (Batch batch; loader.next(batch);) {
    Tensor logits = outputs_of(model, batch, input, views);
    int64_t n = batch.labels.size();
    result.images += n;
    result.top1 += count_correct(logits, batch.labels, 1);
    result.top5 += count_correct(logits, batch.labels, 5);
    loss_sum += double(cross_entropy(logits, batch.labels).item()) * double(n);
    if (stop && stop()) break;
  }
  result.loss = result.images ? loss_sum / double(result.images) : 0;
  if (!std::isfinite(result.loss))
    fail(Fault::internal, "evaluation: the loss is {}; the weights are broken, or training made them "
         "explode: lower the learning rate", result.loss);
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
    for (Batch batch; training.next(batch);) {
      int64_t n = batch.labels.size();
      try {
        progress.loss_sum +=
            train_step(step, model, optimizer, batch, settings, progress) * double(n);
      } catch (const cuda::OutOfMemory&) {
        refuse_batch(step, model, optimizer, batch, settings);
      }
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
