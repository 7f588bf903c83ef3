#include "apps/training.h"

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
                              const TrunkOf& trunk) {
  std::string where = first_not_finite(model, [&] { logits_of(model, batch, trunk); });
  fail(Fault::internal, "training: the loss is {} at step {}{}; lower the learning rate (--lr), clip the "
       "gradient (--clip-norm), or look for broken weights", loss, step,
       where.empty() ? "" : fmt::format(", not finite from {} on", where));
}

Tensor loss_of(Classifier& model, const Batch& batch, const TrainingSettings& settings) {
  return cross_entropy(logits_of(model, batch, settings.trunk), batch.labels.to(model.device()),
                       settings.loss);
}

// One update; -> the batch's mean loss.
double train_step(Classifier& model, Optimizer& optimizer, const Batch& batch,
                  const TrainingSettings& settings, Progress& progress) {
  set_random_step(model, settings.seed, uint64_t(progress.step));
  optimizer.zero_grad();
  Tensor loss = loss_of(model, batch, settings);
  double value = loss.item();
  if (!std::isfinite(value)) refuse_loss(model, batch, value, progress.step, settings.trunk);
  LossScale& scale = progress.loss_scale;
  loss.backward(float(scale.value));
  const double rate = settings.schedule.rate(progress.step);
  if (scale.value == 1) {
    optimizer.step(rate);
  } else if (optimizer.try_step(rate, scale.value)) {
    scale.succeeded();
  } else {
    scale.failed();
  }
  return value;
}

// The largest half, quarter, ... of the batch of which one step fits into the device's memory; 0: none.
int64_t images_that_fit(Classifier& model, Optimizer& optimizer, const Batch& batch,
                        const TrainingSettings& settings) {
  if (settings.trunk) return 0;  // the pixels of some are not here
  model.images_at_a_time(0);
  for (int64_t n = batch.labels.size() / 2; n > 0; n /= 2) {
    try {
      optimizer.zero_grad();
      loss_of(model, {batch.images.rows(0, n), batch.labels.rows(0, n), {}}, settings).backward();
      return n;
    } catch (const cuda::OutOfMemory&) {
    } catch (const Error&) {  // batch norm over too few values
      return 0;
    }
  }
  return 0;
}

[[noreturn]] void refuse_batch(Classifier& model, Optimizer& optimizer, const Batch& batch,
                               const TrainingSettings& settings) {
  int64_t fits = images_that_fit(model, optimizer, batch, settings);
  fail(Fault::os, "training: a batch of {} images does not fit into the memory of the CUDA device; {}",
       batch.labels.size(), fits ? fmt::format("one of {} does: --batch {}", fits, fits)
                                 : "freeze more (--freeze trunk) or take a smaller --image-size");
}

}  // namespace

Evaluation evaluate(Classifier& model, Loader& loader, const std::function<bool()>& stop,
                    const TrunkOf& trunk) {
  NoGrad no_grad;
  model.eval();
  Evaluation result;
  double loss_sum = 0;
  loader.start(0);
  for (Batch batch; loader.next(batch);) {
    Tensor logits = logits_of(model, batch, trunk).to(Device::cpu).to(DType::f32);
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
      try {
        progress.loss_sum += train_step(model, optimizer, batch, settings, progress) * double(n);
      } catch (const cuda::OutOfMemory&) {
        refuse_batch(model, optimizer, batch, settings);
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
    Evaluation val = validation ? evaluate(model, *validation, hooks.stop, settings.trunk) : Evaluation{};
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
