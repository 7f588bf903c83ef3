#include "layers/ema.h"

#include <algorithm>

#include "core/autograd.h"
#include "core/ops.h"
#include "kernels/parallel.h"
#include "layers/batch_norm.h"

namespace graft {
namespace {

constexpr int64_t kGrain = 1 << 14;

// mean += share (value - mean)
void move_towards(const Tensor& value, const Tensor& share, Tensor& mean) {
  if (mean.device() != Device::cpu) {
    NoGrad no_grad;
    return mean.copy_from(add(mean, scale(add(value.detach(), scale(mean, -1)), share)));
  }
  const float* x = value.data();
  const float part = *share.data();
  float* m = mean.mutable_data();
  cpu::parallel_for(mean.size(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) m[i] += part * (x[i] - m[i]);
  });
}

}  // namespace

Ema::Ema(Module& model, double decay) : decay_(decay) {
  GRAFT_CHECK(decay > 0 && decay < 1, "average: decay {} must be between 0 and 1", decay);
  each_param(model, [&](const std::string& path, Param& p) {
    if (p.requires_grad()) averages_.push_back({path, p, p.clone()});
  });
  each_module(model, [&](const std::string& path, Module& m) {
    auto* norm = dynamic_cast<BatchNorm2d*>(&m);
    if (!norm || (norm->policy() != NormPolicy::train && norm->policy() != NormPolicy::stats))
      return;
    averages_.push_back({path + ".running_mean", norm->running_mean, norm->running_mean.clone()});
    averages_.push_back({path + ".running_var", norm->running_var, norm->running_var.clone()});
  });
  const Device device = averages_.empty() ? Device::cpu : averages_[0].mean.device();
  share_ = Tensor::zeros({}, DType::f32, device);
}

void Ema::update() {
  prepare();
  apply();
}

void Ema::prepare() {
  const double d = std::min(decay_, double(1 + updates_) / double(10 + updates_));
  ++updates_;
  share_.copy_from(Tensor::full({}, float(1 - d)));
}

void Ema::apply() {
  for (Average& a : averages_) move_towards(a.value, share_, a.mean);
}

void Ema::swap() {
  for (Average& a : averages_) {
    Tensor kept = a.value.clone();
    a.value.copy_from(a.mean);
    a.mean.copy_from(kept);
  }
}

TensorMap Ema::state() const {
  TensorMap state;
  for (const Average& a : averages_) state[a.path] = a.mean.clone(Device::cpu);
  return state;
}

void Ema::load_state(const TensorMap& state, int64_t updates) {
  for (const Average& a : averages_) {
    auto found = state.find(a.path);
    GRAFT_CHECK(
        found != state.end() && found->second.shape() == a.mean.shape(),
        "average: '{}' is missing or of another shape; it was saved under another freeze plan",
        a.path);
  }
  GRAFT_CHECK(state.size() == averages_.size(), "average: {} tensors saved, {} here", state.size(),
              averages_.size());
  for (Average& a : averages_) a.mean.copy_from(state.at(a.path));
  updates_ = updates;
}

}  // namespace graft
