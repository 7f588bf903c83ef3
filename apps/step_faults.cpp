#include "apps/step_faults.h"

#include <cmath>

#include "core/autograd.h"
#include "io/first_samples.h"
#include "kernels/runtime.h"
#include "layers/finite.h"

namespace graft::app {
namespace {

// ", not finite from fc.weight on", from `loss_again`, which makes the loss a second time.
std::string origin_of(Classifier& model, const std::function<double()>& loss_again) {
  double again = 0;
  const std::string where = first_not_finite(model, [&] { again = loss_again(); });
  if (!where.empty()) return fmt::format(", not finite from {} on", where);
  if (std::isfinite(again))
    return fmt::format(" (made a second time it is {}: no layer can be named)", again);
  return ", of logits that are finite but too large";
}

// Of the batch a half, a quarter, ...: the first number of images for which there is memory; 0: none.
int64_t images_that_fit(Classifier& model, const Batch& batch,
                        const std::function<void(const Batch& part)>& compute) {
  model.images_at_a_time(0);  // else parts would be filled up
  for (int64_t n = batch.labels.size() / 2; n > 0; n /= 2) {
    try {
      compute(first_samples(batch, n));
      return n;
    } catch (const cuda::OutOfMemory&) {
    } catch (const Error&) {  // batch norm over too few values
      return 0;
    }
  }
  return 0;
}

[[noreturn]] void refuse_size(const char* what, int64_t images, int64_t fits, const char* else_do) {
  const std::string batch =
      images == 1 ? "one image" : fmt::format("a batch of {} images", images);
  fail(Fault::os, "{}: {} does not fit into the memory of the CUDA device; {}", what, batch,
       fits > 0 ? fmt::format("one of {} does: --batch {}", fits, fits) : else_do);
}

}  // namespace

void refuse_loss(TrainingStep& step, Classifier& model, const Batch& batch,
                 const std::optional<Mix>& mix, double loss, int64_t number) {
  const std::string origin =
      origin_of(model, [&] { return double(step.loss_of(batch, mix).item()); });
  fail(Fault::internal, "training: the loss is {} at step {}{}; lower the learning rate (--lr), clip the "
       "gradient (--clip-norm), or look for broken weights", loss, number, origin);
}

void refuse_evaluated_loss(Classifier& model, const Batch& batch, double loss,
                           const TrunkInputOf& input, Views views) {
  const std::string origin = origin_of(model, [&] {
    return double(cross_entropy(outputs_of(model, batch, input, views), batch.labels).item());
  });
  fail(Fault::internal, "evaluation: the loss is {}{}; the weights are broken, or training made them "
       "explode: lower the learning rate", loss, origin);
}

void refuse_batch(TrainingStep& step, Classifier& model, Optimizer& optimizer, const Batch& batch,
                  const TrainingSettings& settings) {
  const int64_t fits = images_that_fit(model, batch, [&](const Batch& part) {
    optimizer.zero_grad();
    step.loss_of(part, mix_of(part, settings, 0)).backward();
  });
  refuse_size("training", batch.labels.size(), fits,
              "freeze more (--freeze trunk) or take a smaller --image-size");
}

void refuse_evaluated_batch(Classifier& model, const Batch& batch, const TrunkInputOf& input,
                            Views views) {
  const NoGrad no_grad;
  const int64_t fits = images_that_fit(
      model, batch, [&](const Batch& part) { outputs_of(model, part, input, views); });
  refuse_size("evaluation", batch.labels.size(), fits,
              "use --device cpu; in training a smaller --batch leaves more memory");
}

}  // namespace graft::app
