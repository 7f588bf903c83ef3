// One update of a network from one batch: forward, loss, backward, what pulls at the weights, the
// optimiser, the average of the weights.
//
// On a CUDA device a step is captured when shapes come for the second time, and from then on
// launched as a whole (core/captured_work.h): by then everything is made that is made once. Batches
// of other shapes, an epoch's last and smaller one, run call by call, with the same bits: the
// kernels are the same, and find what differs from step to step in device memory in either case.
// What was made once is of values that stay: where one of them changes, all begins anew.
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
#include "models/mixed_batch.h"

namespace graft {

struct StepNumbers {  // besides the batch, what differs from step to step
  uint64_t seed = 0, step = 0;  // of what layers draw
  double rate = 0, loss_scale = 1;
  std::optional<Mix> mix;  // of the batch's images, whose pixels are then given to the trunk
};

struct StepResult {
  double loss = 0;             // mean over the batch
  std::optional<double> norm;  // of the gradients; none: they or the loss were not finite, nothing
                               // was learnt
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
  Tensor loss_of(const Batch& batch, const std::optional<Mix>& mix);  // alone; nothing learns

  bool captured() const { return captured_ != nullptr; }
  // Told why steps cannot be captured, once; they go on call by call.
  std::function<void(const std::string& why)> refused = [](auto&) {};

 private:
  struct Input {  // what the loss is of
    TrunkInput trunk;
    Tensor labels;
    std::optional<MixTensors> mix;
    std::vector<Tensor*> tensors();
  };
  struct Shapes {
    std::vector<std::pair<Shape, DType>> tensors;
    size_t begin;
    bool operator==(const Shapes&) const = default;
  };
  struct Captured {
    Shapes shapes;
    Input input;  // where a batch is put
    std::vector<Tensor> frozen;
    uint64_t version;  // of those
    std::unique_ptr<CapturedWork> step, average;
  };
  Input input_of(const Batch& batch, const std::optional<Mix>& mix) const;
  Tensor loss_of(Input input);
  void prepare(const StepNumbers& numbers);
  void queue(const Input& input);
  StepResult finish(Captured* captured);
  static Shapes shapes_of(Input& input);
  void forget_what_changed();
  Captured* captured_for(Input& input);
  std::unique_ptr<Captured> capture(const Input& like);
  void give_up(const std::string& why);

  Parts parts_;
  bool may_capture_;
  Tensor loss_, loss_scale_;  // () f32, where the model is
  std::vector<Shapes> seen_;
  std::unique_ptr<Captured> captured_;
};

}  // namespace graft
