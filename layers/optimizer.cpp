#include "layers/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/autograd.h"
#include "core/cast.h"
#include "core/dispatch.h"
#include "kernels/elementwise.h"
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

int moments_of(const OptimizerOptions& o) {
  return o.kind == OptimizerOptions::Kind::adamw ? 2 : o.momentum > 0 ? 1 : 0;
}

constexpr size_t kPlace = 32;  // bytes for the numbers of a range, and for those of all

template <class T>
void put(const T& number, size_t place, Tensor& numbers) {
  static_assert(sizeof number <= kPlace);
  std::memcpy(numbers.mutable_data<uint8_t>() + place * kPlace, &number, sizeof number);
}

template <class T>
const T* at(size_t place, const Tensor& numbers) {
  return reinterpret_cast<const T*>(in<uint8_t>(numbers) + place * kPlace);
}

}  // namespace

int64_t bytes_per_parameter(const OptimizerOptions& options) {
  return int64_t(sizeof(float)) * (1 + moments_of(options));
}

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
  if (moments_of(options) > 0) first_ = arena();
  if (moments_of(options) > 1) second_ = arena();
  if (device == Device::cuda && options.read_as != DType::f32)
    copies_ = Tensor::zeros({total}, options.read_as, device);
  for (Slot& slot : slots_) {
    move_into(values_, slot.offset, slot.param);
    slot.param.set_grad(view_of(grads_, slot.offset, slot.param.shape()));
    if (copies_.defined()) slot.copy = view_of(copies_, slot.offset, slot.param.shape());
  }
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (i > 0 && slots_[i].like(slots_[i - 1])) continue;
    if (i > 0) ranges_.back().end = slots_[i].offset;
    ranges_.push_back({slots_[i].offset, total, slots_[i].decay, slots_[i].rate_factor});
  }
  scale_ = Tensor::zeros({2}, DType::f32, device);
  if (device == Device::cuda)
    numbers_ = Tensor({int64_t(kPlace * (1 + ranges_.size()))}, DType::u8, device);
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

void Optimizer::refuse_gradients() const {
  fail(Fault::internal, "optimizer: the gradient is not finite at step {}, that of {} before all "
       "others; lower the learning rate or clip the gradient", steps_, first_broken_gradient());
}

double Optimizer::step(double rate) {
  if (std::optional<double> norm = try_step(rate, 1)) return *norm;
  refuse_gradients();
}

std::optional<double> Optimizer::try_step(double rate, double loss_scale) {
  prepare(rate, loss_scale);
  apply();
  return finish();
}

void Optimizer::prepare(double rate, double loss_scale) {
  check_learning();
  rate_ = rate, loss_scale_ = loss_scale;
  if (copies_.defined()) renew_copies();
  if (numbers_.defined()) numbers_.copy_from(numbers());
}

// After the first step only where somebody else has written values: loaded them, or exchanged them
// with their averages.
void Optimizer::renew_copies() {
  auto is_whole = [](const Slot& slot) { return has_cast(slot.param, slot.copy); };
  if (std::all_of(slots_.begin(), slots_.end(), is_whole)) return;
  const KernelScope scope(copies_.device());
  if constexpr (kWithCuda)
    with_float_type(copies_.dtype(), [&]<class Copy>() {
      cuda::convert(copies_.size(), in<float>(values_), out<Copy>(copies_), stream());
    });
  for (Slot& slot : slots_) set_cast(slot.param, slot.copy);
}

void Optimizer::apply() {
  const KernelScope scope(grads_.device());
  grads_.device() == Device::cpu ? apply_here() : apply_on_device();
}

std::optional<double> Optimizer::finish() {
  const double norm = scale_.to(Device::cpu).data()[1];
  if (!std::isfinite(norm)) return {};
  ++steps_;
  for (Slot& slot : slots_) {
    slot.param.mutable_address();  // a new version: caches must notice
    if (slot.copy.defined()) set_cast(slot.param, slot.copy);
  }
  return norm;
}

SgdStep Optimizer::sgd_step(const Range& range) const {
  return {.lr = float(rate_ * range.rate_factor),
          .momentum = float(options_.momentum),
          .weight_decay = range.decay ? float(options_.weight_decay) : 0,
          .nesterov = options_.nesterov,
          .first_step = steps_ == 0};
}

AdamWStep Optimizer::adamw_step(const Range& range) const {
  return {.lr = float(rate_ * range.rate_factor),
          .beta1 = float(options_.beta1),
          .beta2 = float(options_.beta2),
          .eps = float(options_.eps),
          .weight_decay = range.decay ? float(options_.weight_decay) : 0,
          .step = steps_ + 1};
}

Optimizer::Update Optimizer::update_of(const Range& range) {
  auto part = [&](Tensor& arena) {
    return arena.defined() ? out<float>(arena) + range.begin : nullptr;
  };
  return {in<float>(grads_) + range.begin, part(values_), part(first_), part(second_),
          range.end - range.begin};
}

void Optimizer::apply_here() {
  const double squares = cpu::sum_of_squares(grads_.size(), in<float>(grads_));
  const double norm = std::sqrt(squares) / loss_scale_;
  const bool clip = options_.clip_norm > 0 && norm > options_.clip_norm;
  const float factor = float((clip ? options_.clip_norm / (norm + 1e-6) : 1.0) / loss_scale_);
  float* scale = out<float>(scale_);
  scale[0] = factor, scale[1] = float(norm);
  if (!std::isfinite(norm)) return;
  for (const Range& range : ranges_) {
    const Update u = update_of(range);
    if (adamw())
      cpu::adamw(adamw_step(range), u.size, u.grad, factor, u.value, u.first, u.second);
    else
      cpu::sgd(sgd_step(range), u.size, u.grad, factor, u.value, u.first);
  }
}

Tensor Optimizer::numbers() const {
  Tensor numbers(numbers_.shape(), DType::u8);
  put(cuda::GradientLimits{float(1 / loss_scale_), float(options_.clip_norm)}, 0, numbers);
  for (size_t i = 0; i < ranges_.size(); ++i) {
    if (!adamw())
      put(sgd_step(ranges_[i]), 1 + i, numbers);
    else if constexpr (kWithCuda)
      put(cuda::factors_of(adamw_step(ranges_[i])), 1 + i, numbers);
  }
  return numbers;
}

// Where the factor comes out as 0 no kernel changes anything.
void Optimizer::apply_on_device() {
  if constexpr (kWithCuda) {
    auto* scale = reinterpret_cast<cuda::GradientScale*>(out<float>(scale_));
    static_assert(sizeof *scale == 2 * sizeof(float));
    cuda::gradient_scale(grads_.size(), in<float>(grads_), at<cuda::GradientLimits>(0, numbers_),
                         scale, stream());
    const bool f16_copies = copies_.defined() && copies_.dtype() == DType::f16;
    f16_copies ? update_on_device<f16>(scale) : update_on_device<bf16>(scale);
  }
}

template <class Copy>
void Optimizer::update_on_device(const cuda::GradientScale* scale) {
  Copy* copies = out<Copy>(copies_);  // null where there are none
  for (size_t i = 0; i < ranges_.size(); ++i) {
    const Update u = update_of(ranges_[i]);
    Copy* copy = copies ? copies + ranges_[i].begin : nullptr;
    if constexpr (kWithCuda) {
      if (adamw())
        cuda::adamw(at<cuda::AdamWFactors>(1 + i, numbers_), u.size, u.grad, scale, u.value,
                    u.first, u.second, copy, stream());
      else
        cuda::sgd(at<SgdStep>(1 + i, numbers_), u.size, u.grad, scale, u.value, u.first, copy,
                  stream());
    }
  }
}

std::vector<std::pair<std::string, Tensor>> Optimizer::moments() const {
  std::vector<std::pair<std::string, Tensor>> all;
  if (first_.defined()) all.emplace_back(adamw() ? "first_moment/" : "momentum/", first_);
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
