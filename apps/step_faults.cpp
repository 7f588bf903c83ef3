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
              "freeze more (--freeze trunk), take a smaller --image-size, or keep no images there "
              "(--device-cache-mb 0)");
}

void refuse_evaluated_batch(Classifier& model, const Batch& batch, const TrunkInputOf& input,
                            Views views) {
  const NoGrad no_grad;
  const int64_t fits = images_that_fit(
      model, batch, [&](const Batch& part) { outputs_of(model, part, input, views); });
  refuse_size("evaluation", batch.labels.size(), fits,
              "use --device cpu; in training a smaller --batch or --device-cache-mb leaves more memory");
}

void refuse_features(Classifier& model, const Batch& batch, const TrunkInputOf& input) {
  const NoGrad no_grad;
  const int64_t fits = images_that_fit(model, batch, [&](const Batch& part) {
    model.hidden(trunk_of(model, trunk_input(part, input)));
  });
  refuse_size("features", batch.labels.size(), fits,
              "take a smaller --image-size, or keep no images there (--device-cache-mb 0)");
}

Batch blank_batch(const Classifier& model, const Loader& loader) {
  const int64_t n = loader.largest_batch(), side = model.preprocess.crop;
  return {.images = Tensor::zeros({n, side, side, 3}, DType::u8), .labels = Tensor::zeros({n}, DType::i32)};
}

Batch unmade_batch(const Classifier& model, const Loader& loader) {
  if (const int64_t kept = loader.bytes_there(); kept > 0)
    fail(Fault::os, "loader: a batch of {} images does not fit into the memory of the CUDA device beside "
         "{} MB of decoded ones that are kept there; keep fewer: --device-cache-mb {}",
         loader.largest_batch(), kept >> 20, kept >> 21);
  return blank_batch(model, loader);
}

}  // namespace graft::app
