// Exponential moving average of a model's values (Polyak and Juditsky 1992; Tarvainen and Valpola,
// NeurIPS 2017): mean += (1 - d) (value - mean) after each update, of all that learns and of
// running statistics that move. d grows to `decay` as (1 + t) / (10 + t) (TensorFlow's
// num_updates), so that the first values are soon forgotten.
#pragma once
#include <string>
#include <vector>

#include "core/tensor_map.h"
#include "layers/module.h"

namespace graft {

class Ema {
 public:
  Ema(Module& model, double decay);  // begins with the values of now; decay in (0, 1)

  void update();
  // The same in two parts; on a CUDA device apply() is the same work each time, for a capture.
  void prepare();
  void apply();
  // Exchanges the averages with the model's own values, bit for bit; a second time undoes it.
  void swap();

  TensorMap state() const;                                   // averages by path, while not swapped
  void load_state(const TensorMap& state, int64_t updates);  // throws where names or shapes differ
  int64_t updates() const { return updates_; }

 private:
  struct Average {
    std::string path;
    Tensor value, mean;
  };
  double decay_;
  int64_t updates_ = 0;
  std::vector<Average> averages_;
  Tensor share_;  // () f32: 1 - d of this update, where the values are
};

// While it lives the model has its averages; without an Ema, its own values.
class Averaged {
 public:
  explicit Averaged(Ema* ema) : ema_(ema) {
    if (ema_) ema_->swap();
  }
  ~Averaged() {
    if (ema_) ema_->swap();
  }
  Averaged(const Averaged&) = delete;
  Averaged& operator=(const Averaged&) = delete;

 private:
  Ema* ema_;
};

}  // namespace graft
