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
#include "layers/loss_scale.h"
#include "layers/optimizer.h"
#include "layers/schedule.h"
#include "models/features.h"

namespace graft::app {

struct EpochRecord {
  int64_t epoch = 0;  // from 1
  double train_loss = 0, val_loss = 0, val_accuracy = 0;
  double seconds = 0;
};

struct Evaluation {
  int64_t images = 0, top1 = 0, top5 = 0;  // counts
  double loss = 0;                         // mean
  double accuracy() const { return images ? double(top1) / double(images) : 0; }
};

// Where a run stands. Together with the model, the optimiser and the settings: all of it.
struct Progress {
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
};

// Over the whole of the data, or until `stop` says so after a batch.
Evaluation evaluate(Classifier& model, Loader& loader, const std::function<bool()>& stop = {});

// Trains to the end, or until `stop` says so after a step or while evaluating. `epoch_done` is
// called after each epoch with its record appended to progress; `step_done` after each step.
// -> true at the end.
struct TrainingHooks {
  std::function<void()> step_done, epoch_done;
  std::function<bool()> stop;
};
bool train(Classifier& model, Optimizer& optimizer, Loader& training, Loader* validation,
           const TrainingSettings& settings, Progress& progress, const TrainingHooks& hooks);

}  // namespace graft::app
