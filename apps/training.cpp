#include "apps/training.h"

#include <cmath>

#include "apps/command.h"
#include "core/autograd.h"
#include "layers/accuracy.h"
#include "layers/dropout.h"

namespace graft::app {
namespace {

// One update; -> the batch's mean loss.
double train_step(Classifier& model, Optimizer& optimizer, const Batch& batch,
                  const TrainingSettings& settings, int64_t step) {
  set_random_step(model, settings.seed, uint64_t(step));
  optimizer.zero_grad();
  Tensor loss = cross_entropy(model(input_of(model, batch)), batch.labels, settings.loss);
  double value = loss.item();
  if (!std::isfinite(value))
    fail(Fault::internal, "training: the loss is {} at step {}; lower the learning rate (--lr), "
         "clip the gradient (--clip-norm), or look for broken weights", value, step);
  loss.backward();
  optimizer.step(settings.schedule.rate(step));
  return value;
}

}  // namespace

Evaluation evaluate(Classifier& model, Loader& loader, const std::function<bool()>& stop) {
  NoGrad no_grad;
  model.eval();
  Evaluation result;
  double loss_sum = 0;
  loader.start(0);
  for (Batch batch; loader.next(batch);) {
    Tensor logits = model(input_of(model, batch));
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
  while (progress.epoch < settings.epochs) {
    double begin = now();
    int64_t images_before = progress.images;
    auto account = [&] {
      progress.train_seconds += now() - begin;
      progress.trained_images += progress.images - images_before;
    };
    model.train();
    training.start(uint64_t(progress.epoch), progress.batch);
    for (Batch batch; training.next(batch);) {
      int64_t n = batch.labels.size();
      progress.loss_sum += train_step(model, optimizer, batch, settings, progress.step) * double(n);
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
    Evaluation val = validation ? evaluate(model, *validation, hooks.stop) : Evaluation{};
    if (hooks.stop && hooks.stop()) return false;  // it is made anew after resuming
    progress.eval_seconds += now() - middle;
    progress.history.push_back({progress.epoch + 1, progress.loss_sum / double(progress.images),
                                val.loss, val.accuracy(), now() - begin});
    ++progress.epoch;
    progress.batch = progress.images = 0;
    progress.loss_sum = 0;
    if (hooks.epoch_done) hooks.epoch_done();
  }
  return true;
}

}  // namespace graft::app
