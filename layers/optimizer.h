// SGD and AdamW over one flat arena: values, gradients and moments of everything that learns lie
// side by side, so a step is one pass and zero_grad one memset. In mixed precision that pass writes
// what the next forward pass reads, too: a copy of the values in 16 bits (core/cast.h). Built from
// what wants a gradient at that moment, where the parameters are; it never sees anything frozen.
// Build a new one after the freeze plan changes or the model moves to another device.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/tensor_map.h"
#include "kernels/optimizer.h"
#include "layers/module.h"

namespace graft {

struct OptimizerOptions {
  enum class Kind { sgd, adamw };
  Kind kind = Kind::sgd;
  double momentum = 0.9;
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  // AdamW
  double weight_decay = 0;
  bool decay_all = true;   // false: biases and norms (tensors of one dimension) do not decay
  double clip_norm = 0;    // gradients are scaled down to this global norm; 0: never
  std::map<std::string, double> rate_factors;  // of step()'s rate, by path; absent: 1
  std::set<std::string> no_decay;              // paths; they do not decay in any case
  DType read_as = DType::f32;  // by operations on a CUDA device: the type of activations there
};

// Of the gradient and the moments, for each element that learns.
int64_t bytes_per_parameter(const OptimizerOptions& options);

class Optimizer {
 public:
  Optimizer(Module& model, const OptimizerOptions& options);  // throws when nothing learns
  ~Optimizer();
  Optimizer(const Optimizer&) = delete;

  void zero_grad();
  double step(double rate);  // -> global norm of the gradients, before clipping
  // Of gradients that are `loss_scale` times too large. Where they are not finite nothing changes.
  std::optional<double> try_step(double rate, double loss_scale);
  // The same in three parts. On a CUDA device apply() only queues work, which is the same each
  // time, so that a step can be captured (core/captured_work.h). The forward pass that comes after
  // prepare() finds the copies whole, whatever has changed a value since the last step.
  void prepare(double rate, double loss_scale);
  void apply();
  std::optional<double> finish();
  [[noreturn]] void refuse_gradients() const;    // those that were not finite
  int64_t steps() const { return steps_; }
  int64_t parameters() const;                    // elements that learn

  // Moments by parameter name, "momentum/fc.weight", and the step count: what resuming needs.
  TensorMap state() const;
  void load_state(const TensorMap& state, int64_t steps);  // throws where names or shapes differ,
                                                           // and has changed nothing then

 private:
  struct Slot {
    std::string path;
    Tensor param;          // a handle of our own: the layer may be replaced before we end
    int64_t offset, size;  // elements in the arena
    bool decay;
    double rate_factor;
    Tensor copy = {};      // of its values, where there are copies
    bool like(const Slot& other) const {
      return decay == other.decay && rate_factor == other.rate_factor;
    }
  };
  struct Range {  // of the arenas: slots that are alike
    int64_t begin, end;
    bool decay;
    double rate_factor;
  };
  struct Update {  // of one range
    const float* grad;
    float *value, *first, *second;
    int64_t size;
  };
  std::vector<std::pair<std::string, Tensor>> moments() const;  // prefix, arena
  void check_state(const TensorMap& state) const;
  void check_learning() const;
  std::string first_broken_gradient() const;
  bool adamw() const { return options_.kind == OptimizerOptions::Kind::adamw; }
  SgdStep sgd_step(const Range& range) const;
  AdamWStep adamw_step(const Range& range) const;
  Update update_of(const Range& range);
  void renew_copies();
  void apply_here();
  void apply_on_device();
  template <class Copy> void update_on_device(const cuda::GradientScale* scale);
  Tensor numbers() const;  // what the device is to know of this step, on the processor

  OptimizerOptions options_;
  std::vector<Slot> slots_;
  std::vector<Range> ranges_;
  Tensor values_, grads_, first_, second_;  // flat arenas; second_ for AdamW only
  Tensor copies_;       // a flat arena of bf16 or f16, or undefined
  Tensor scale_;        // (2) f32: factor for gradients, their norm
  Tensor numbers_;      // bytes on a CUDA device: GradientLimits, then the step of each range
  double rate_ = 0, loss_scale_ = 1;        // of prepare()
  int64_t steps_ = 0;
};

}  // namespace graft
