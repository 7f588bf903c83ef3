#include "layers/optimizer.h"

#include <cmath>

#include "core/autograd.h"
#include "core/dispatch.h"
#include "kernels/optimizer.h"
#include "kernels/reduce.h"
#include "layers/finite.h"

namespace graft {
namespace {

constexpr int64_t kAlign = 16;  // elements; every parameter starts on a cache line

// Moves a parameter's values into the arena; its handle, and all copies of it, stay valid.
void move_into(const Tensor& arena, int64_t offset, Tensor& p) {
  Tensor view = view_of(arena, offset, p.shape());
  view.copy_from(p);
  p.rebind(view);
}

const cuda::GradientScale* on_device(const Tensor& scale) {
  static_assert(sizeof(cuda::GradientScale) == 2 * sizeof(float));
  return reinterpret_cast<const cuda::GradientScale*>(in<float>(scale));
}

// One step on a range of the arenas, where `scale` is: factor and norm of the gradients.
void sgd(const SgdStep& s, int64_t n, const float* grad, const Tensor& scale, float* value, float* first) {
  if constexpr (kWithCuda) {
    if (scale.device() == Device::cuda)
      return cuda::sgd<float, bf16>(s, n, grad, on_device(scale), value, first, nullptr, stream());
  }
  cpu::sgd(s, n, grad, scale.data()[0], value, first);
}

void adamw(const AdamWStep& s, int64_t n, const float* grad, const Tensor& scale, float* value,
           float* first, float* second) {
  if constexpr (kWithCuda) {
    if (scale.device() == Device::cuda)
      return cuda::adamw<float, bf16>(s, n, grad, on_device(scale), value, first, second, nullptr,
                                      stream());
  }
  cpu::adamw(s, n, grad, scale.data()[0], value, first, second);
}

}  // namespace

Optimizer::Optimizer(Module& model, const OptimizerOptions& options) : options_(options) {
  int64_t total = 0;
  each_param(model, [&](const std::string& path, Param& p) {
    if (!p.requires_grad()) return;
    auto factor = options.rate_factors.find(path);
    const bool decays = (options.decay_all || p.rank() > 1) && !options.no_decay.contains(path);
    slots_.push_back({path, p, total, p.size(), decays,
                      factor == options.rate_factors.end() ? 1 : factor->second});
    total += (p.size() + kAlign - 1) / kAlign * kAlign;
  });
  GRAFT_CHECK(!slots_.empty(), "optimizer: nothing learns; the freeze plan leaves no parameter");
  const Device device = slots_[0].param.device();
  auto arena = [&] { return Tensor::zeros({total}, DType::f32, device); };
  values_ = arena(), grads_ = arena();
  if (options.kind == OptimizerOptions::Kind::adamw || options.momentum > 0) first_ = arena();
  if (options.kind == OptimizerOptions::Kind::adamw) second_ = arena();
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

void Optimizer::zero_grad() { grads_.clear(); }

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

// Gradients are made from the loss backwards: of those that are broken the last layer's came first.
std::string Optimizer::first_broken_gradient() const {
  for (auto slot = slots_.rbegin(); slot != slots_.rend(); ++slot)
    if (!all_finite(view_of(grads_, slot->offset, {slot->size}))) return slot->path;
  return "none, but their sum of squares";
}

double Optimizer::measure(double loss_scale, Tensor& scale) const {
  const KernelScope scope(grads_.device());
  const int64_t n = grads_.size();
  if constexpr (kWithCuda) {
    if (grads_.device() == Device::cuda) {
      scale = empty_like(grads_, {2});
      auto to = const_cast<cuda::GradientScale*>(on_device(scale));
      cuda::gradient_scale(n, in<float>(grads_), float(1 / loss_scale), float(options_.clip_norm), to, stream());
      return scale.to(Device::cpu).data()[1];
    }
  }
  const double norm = std::sqrt(cpu::sum_of_squares(n, in<float>(grads_))) / loss_scale;
  const bool clip = options_.clip_norm > 0 && norm > options_.clip_norm;
  const double factor = (clip ? options_.clip_norm / (norm + 1e-6) : 1.0) / loss_scale;
  scale = Tensor::from({2}, {float(factor), float(norm)});
  return norm;
}

double Optimizer::step(double rate) {
  if (std::optional<double> norm = try_step(rate, 1)) return *norm;
  fail(Fault::internal, "optimizer: the gradient is not finite at step {}, that of {} before all others; "
       "lower the learning rate or clip the gradient", steps_, first_broken_gradient());
}

std::optional<double> Optimizer::try_step(double rate, double loss_scale) {
  check_learning();
  Tensor scale;
  const double norm = measure(loss_scale, scale);
  if (!std::isfinite(norm)) return {};
  for (size_t i = 0; i < slots_.size();) {  // runs of slots with the same decay and rate are one range
    size_t end = i + 1;
    while (end < slots_.size() && slots_[end].like(slots_[i])) ++end;
    int64_t last = end < slots_.size() ? slots_[end].offset : grads_.size();
    update(slots_[i].offset, last, slots_[i].decay, rate * slots_[i].rate_factor, scale);
    i = end;
  }
  ++steps_;
  for (Slot& slot : slots_) slot.param.mutable_address();  // a new version: caches must notice
  return norm;
}

void Optimizer::update(int64_t begin, int64_t end, bool decay, double rate, const Tensor& scale) {
  const KernelScope scope(grads_.device());
  int64_t n = end - begin;
  const float* grad = in<float>(grads_) + begin;
  float* value = out<float>(values_) + begin;
  float* first = first_.defined() ? out<float>(first_) + begin : nullptr;
  float* second = second_.defined() ? out<float>(second_) + begin : nullptr;
  float weight_decay = decay ? float(options_.weight_decay) : 0;
  if (options_.kind == OptimizerOptions::Kind::sgd) {
    SgdStep s{.lr = float(rate), .momentum = float(options_.momentum),
              .weight_decay = weight_decay, .nesterov = options_.nesterov,
              .first_step = steps_ == 0};
    sgd(s, n, grad, scale, value, first);
  } else {
    AdamWStep s{.lr = float(rate), .beta1 = float(options_.beta1), .beta2 = float(options_.beta2),
                .eps = float(options_.eps), .weight_decay = weight_decay, .step = steps_ + 1};
    adamw(s, n, grad, scale, value, first, second);
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
      state[prefix + slot.path] = view_of(arena, slot.offset, slot.param.shape()).clone(Device::cpu);
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
