#include "layers/optimizer.h"

#include <cmath>
#include <cstring>

#include "core/autograd.h"
#include "kernels/optimizer.h"
#include "kernels/reduce.h"

namespace graft {
namespace {

constexpr int64_t kAlign = 16;  // elements; every parameter starts on a cache line

// Moves a parameter's values into the arena; its handle, and all copies of it, stay valid.
void move_into(const Tensor& arena, int64_t offset, Tensor& p) {
  Tensor view = view_of(arena, offset, p.shape());
  view.copy_from(p);
  p.impl()->storage = view.impl()->storage;
  p.impl()->offset = view.impl()->offset;
}

}  // namespace

Optimizer::Optimizer(Module& model, const OptimizerOptions& options) : options_(options) {
  int64_t total = 0;
  each_param(model, [&](const std::string& path, Param& p) {
    if (!p.requires_grad()) return;
    slots_.push_back({path, p, total, p.size(), options.decay_all || p.rank() > 1});
    total += (p.size() + kAlign - 1) / kAlign * kAlign;
  });
  GRAFT_CHECK(!slots_.empty(), "optimizer: nothing learns; the freeze plan leaves no parameter");
  values_ = Tensor::zeros({total});
  grads_ = Tensor::zeros({total});
  if (options.kind == OptimizerOptions::Kind::adamw || options.momentum > 0)
    first_ = Tensor::zeros({total});
  if (options.kind == OptimizerOptions::Kind::adamw) second_ = Tensor::zeros({total});
  for (Slot& slot : slots_) {
    move_into(values_, slot.offset, slot.param);
    slot.param.set_grad(view_of(grads_, slot.offset, slot.param.shape()));
  }
}

Optimizer::~Optimizer() {
  for (Slot& slot : slots_) {  // unless a later optimiser has taken the parameter over
    const Tensor& grad = slot.param.grad();
    if (grad.defined() && grad.impl()->storage == grads_.impl()->storage) slot.param.set_grad({});
  }
}

void Optimizer::zero_grad() { std::memset(grads_.mutable_raw(), 0, grads_.bytes()); }

int64_t Optimizer::parameters() const {
  int64_t count = 0;
  for (const Slot& slot : slots_) count += slot.size;
  return count;
}

void Optimizer::check_learning() const {
  for (const Slot& slot : slots_)
    if (!slot.param.requires_grad())
      fail(Fault::usage, "optimizer: '{}' was frozen after this optimiser was built; build a new "
           "one", slot.path);
}

double Optimizer::step(double rate) {
  check_learning();
  double norm = std::sqrt(cpu::sum_of_squares(grads_.size(), grads_.data()));
  if (!std::isfinite(norm))
    fail(Fault::internal, "optimizer: the gradient is not finite at step {}; lower the learning "
         "rate or clip the gradient", steps_);
  bool clip = options_.clip_norm > 0 && norm > options_.clip_norm;
  float scale = clip ? float(options_.clip_norm / (norm + 1e-6)) : 1.0f;
  for (size_t i = 0; i < slots_.size();) {  // runs of slots with the same decay are one range
    size_t end = i + 1;
    while (end < slots_.size() && slots_[end].decay == slots_[i].decay) ++end;
    int64_t last = end < slots_.size() ? slots_[end].offset : grads_.size();
    update(slots_[i].offset, last, slots_[i].decay, rate, scale);
    i = end;
  }
  ++steps_;
  for (Slot& slot : slots_) slot.param.mutable_raw();  // a new version: caches must notice
  return norm;
}

void Optimizer::update(int64_t begin, int64_t end, bool decay, double rate, float grad_scale) {
  int64_t n = end - begin;
  const float* grad = grads_.data() + begin;
  float* value = values_.mutable_data() + begin;
  float* first = first_.defined() ? first_.mutable_data() + begin : nullptr;
  float weight_decay = decay ? float(options_.weight_decay) : 0;
  if (options_.kind == OptimizerOptions::Kind::sgd) {
    SgdStep s{.lr = float(rate), .momentum = float(options_.momentum),
              .weight_decay = weight_decay, .nesterov = options_.nesterov,
              .first_step = steps_ == 0};
    cpu::sgd(s, n, grad, grad_scale, value, first);
  } else {
    AdamWStep s{.lr = float(rate), .beta1 = float(options_.beta1), .beta2 = float(options_.beta2),
                .eps = float(options_.eps), .weight_decay = weight_decay, .step = steps_ + 1};
    cpu::adamw(s, n, grad, grad_scale, value, first, second_.mutable_data() + begin);
  }
}

std::vector<std::pair<std::string, Tensor>> Optimizer::moments() const {
  std::vector<std::pair<std::string, Tensor>> all;
  bool adamw = options_.kind == OptimizerOptions::Kind::adamw;
  if (first_.defined()) all.emplace_back(adamw ? "first_moment/" : "momentum/", first_);
  if (second_.defined()) all.emplace_back("second_moment/", second_);
  return all;
}

TensorMap Optimizer::state() const {
  TensorMap state;
  for (auto& [prefix, arena] : moments())
    for (const Slot& slot : slots_)
      state[prefix + slot.path] = view_of(arena, slot.offset, slot.param.shape()).clone();
  return state;
}

void Optimizer::check_state(const TensorMap& state) const {
  size_t used = 0;
  for (auto& [prefix, arena] : moments()) {
    for (const Slot& slot : slots_) {
      auto found = state.find(prefix + slot.path);
      GRAFT_CHECK(found != state.end(), "optimizer state: '{}{}' is missing; it was saved under "
                  "another freeze plan or optimiser", prefix, slot.path);
      GRAFT_CHECK(found->second.shape() == slot.param.shape() &&
                      found->second.dtype() == DType::f32,
                  "optimizer state: '{}{}' is {} {}, the parameter f32 {}", prefix, slot.path,
                  name_of(found->second.dtype()), found->second.shape(), slot.param.shape());
      ++used;
    }
  }
  GRAFT_CHECK(used == state.size(), "optimizer state: {} of {} tensors belong to nothing that "
              "learns here", state.size() - used, state.size());
}

void Optimizer::load_state(const TensorMap& state, int64_t steps) {
  check_state(state);
  for (auto& [prefix, arena] : moments())
    for (const Slot& slot : slots_)
      view_of(arena, slot.offset, slot.param.shape()).copy_from(state.at(prefix + slot.path));
  steps_ = steps;
}

}  // namespace graft
