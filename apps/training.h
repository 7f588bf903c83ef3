// The training loop: epochs of steps, an evaluation after each, and a state from which a stopped
// run goes on bit for bit. Nothing here knows of files or of the command line.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/ops.h"
#include "io/loader.h"
#include "io/mixup.h"
#include "layers/loss_scale.h"
#include "layers/schedule.h"
#include "models/outputs.h"
#include "models/training_step.h"

namespace graft::app {

struct EpochRecord {
  int64_t epoch = 0;  // from 1
  double train_loss = 0, val_loss = 0, val_accuracy = 0;
  double seconds = 0;
  std::string phase;  // of the recipe; mostly empty
};

struct Evaluation {
  int64_t images = 0, top1 = 0, top5 = 0;  // counts
  double loss = 0;                         // mean
  double accuracy() const { return images ? double(top1) / double(images) : 0; }
};

// Where a run stands. Together with the model, the optimiser and the settings: all of it.
struct Progress {
  int64_t phase = 0;       // of the recipe; what follows, up to the images, is within it
  int64_t epoch = 0;       // finished ones
  int64_t batch = 0;       // next batch within the current epoch
  int64_t step = 0;        // updates so far
  double loss_sum = 0;     // of the current epoch, over its images so far
  int64_t images = 0;
  double best_accuracy = -1;
  std::vector<EpochRecord> history;
  double train_seconds = 0, eval_seconds = 0;
  int64_t trained_images = 0;  // in train_seconds
  LossScale loss_scale;        // above 1 in f16 only
  std::map<std::string, double> solution;  // what a solver of heads found out; of a loop nothing
};

struct TrainingSettings {
  int64_t epochs = 10;
  uint64_t seed = 0;
  Schedule schedule;
  CrossEntropySpec loss;
  MixOptions mix;
  int64_t patience = 0;           // epochs in a row that may be no better than the best; 0: any number
  std::string phase;              // of the recipe, for the records,
  int64_t first_epoch = 0, first_step = 0;  // and what was before it, where random draws go on
  L2Sp* pull = nullptr;           // joins the gradient
  Ema* average = nullptr;         // of the weights: what is evaluated
  TrunkInputOf input;             // for training and evaluation
  bool cuda_graph = true;         // on a CUDA device: see models/training_step.h
};

// Over the whole of the data, or until `stop` says so after a batch.
Evaluation evaluate(Classifier& model, Loader& loader, const std::function<bool()>& stop = {},
                    const TrunkInputOf& input = {}, Views views = Views::one);

// Trains to the end, or until `stop` says so after a step or while evaluating. `epoch_done` is
// called after each epoch with its record appended to progress; `step_done` after each step.
// -> true at the end.
struct TrainingHooks {
  std::function<void()> step_done, epoch_done;
  std::function<bool()> stop;
};
// What mixes the images of a batch, drawn for this step; none where nothing does.
std::optional<Mix> mix_of(const Batch& batch, const TrainingSettings& settings, int64_t step);
TrainingStep step_of(Classifier& model, Optimizer& optimizer, const TrainingSettings& settings);
// The next batch for it; false at the end of the epoch.
bool next_batch(Loader& training, Batch& batch, TrainingStep& step, Classifier& model,
                Optimizer& optimizer, const TrainingSettings& settings);
// One update; -> the batch's mean loss.
double train_step(TrainingStep& step, Classifier& model, Optimizer& optimizer, const Batch& batch,
                  const TrainingSettings& settings, Progress& progress);
bool out_of_patience(const Progress& progress, int64_t patience);
bool train(Classifier& model, Optimizer& optimizer, Loader& training, Loader* validation,
           const TrainingSettings& settings, Progress& progress, const TrainingHooks& hooks);

}  // namespace graft::app
