// One update of a network from one batch: forward, loss, backward, what pulls at the weights, the
// optimiser, the average of the weights.
//
// On a CUDA device a step is captured when shapes come for the second time, and from then on
// launched as a whole (core/captured_work.h): by then everything is made that is made once. Batches
// of other shapes, an epoch's last and smaller one, run call by call, with the same bits: the
// kernels are the same, and find what differs from step to step in device memory in either case.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/captured_work.h"
#include "core/ops.h"
#include "layers/ema.h"
#include "layers/l2_sp.h"
#include "layers/optimizer.h"
#include "models/features.h"

namespace graft {

struct StepNumbers {  // besides the batch, what differs from step to step
  uint64_t seed = 0, step = 0;  // of what layers draw
  double rate = 0, loss_scale = 1;
};

struct StepResult {
  double loss = 0;             // mean over the batch
  std::optional<double> norm;  // of the gradients; none: they were not finite, nothing was learnt
};

class TrainingStep {
 public:
  struct Parts {  // the model in training mode; they outlive the step
    Classifier& model;
    Optimizer& optimizer;
    CrossEntropySpec loss;
    TrunkInputOf input;  // of a batch
    L2Sp* pull = nullptr;
    Ema* average = nullptr;
  };
  explicit TrainingStep(Parts parts, bool may_capture = true);

  StepResult run(const Batch& batch, const StepNumbers& numbers);
  // With a loss of its own, call by call.
  StepResult run(const std::function<Tensor()>& loss, const StepNumbers& numbers);

  bool captured() const { return captured_ != nullptr; }
  // Told why steps cannot be captured, once; they go on call by call.
  std::function<void(const std::string& why)> refused = [](auto&) {};

 private:
  struct Shapes {
    Shape values;
    DType type;
    size_t begin;
    Shape labels;
    bool operator==(const Shapes&) const = default;
  };
  struct Captured {
    Shapes shapes;
    TrunkInput input;  // where a batch is put
    Tensor labels;
    std::unique_ptr<CapturedWork> step, average;
  };
  Tensor loss_of(const TrunkInput& input, const Tensor& labels);
  void prepare(const StepNumbers& numbers);
  void queue(const std::function<Tensor()>& loss);
  StepResult finish(Captured* captured);
  Captured* captured_for(const Shapes& shapes);
  std::unique_ptr<Captured> capture(const Shapes& shapes);
  void give_up(const std::string& why);

  Parts parts_;
  bool may_capture_;
  Tensor loss_, loss_scale_;  // () f32, where the model is
  std::vector<Shapes> seen_;
  std::unique_ptr<Captured> captured_;
};

}  // namespace graft
