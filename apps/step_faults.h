// What ends a run within a step, said in one line: values that are not finite, with the layer that
// they begin in, and batches that the CUDA device has no memory for, with the size that it has.
#pragma once
#include "apps/training.h"

namespace graft::app {

[[noreturn]] void refuse_loss(TrainingStep& step, Classifier& model, const Batch& batch,
                              const std::optional<Mix>& mix, double loss, int64_t number);
[[noreturn]] void refuse_evaluated_loss(Classifier& model, const Batch& batch, double loss,
                                        const TrunkInputOf& input, Views views);

[[noreturn]] void refuse_batch(TrainingStep& step, Classifier& model, Optimizer& optimizer,
                               const Batch& batch, const TrainingSettings& settings);
[[noreturn]] void refuse_evaluated_batch(Classifier& model, const Batch& batch,
                                         const TrunkInputOf& input, Views views);
[[noreturn]] void refuse_features(Classifier& model, const Batch& batch, const TrunkInputOf& input);
// As large as the loader's largest, of black images.
Batch blank_batch(const Classifier& model, const Loader& loader);
// The same for a loader that found no memory for a batch; refuses that one itself where decoded
// images take the memory.
Batch unmade_batch(const Classifier& model, const Loader& loader);

}  // namespace graft::app
