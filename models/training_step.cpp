#include "models/training_step.h"

#include <algorithm>

#include "kernels/runtime.h"
#include "layers/freeze.h"
#include "layers/random_layer.h"

namespace graft {
namespace {

uint64_t version_of(const std::vector<Tensor>& tensors) {  // grows with each change
  uint64_t version = 0;
  for (const Tensor& t : tensors) version += t.version();
  return version;
}

}  // namespace

TrainingStep::TrainingStep(Parts parts, bool may_capture)
    : parts_(std::move(parts)),
      may_capture_(may_capture && parts_.model.device() == Device::cuda),
      loss_(Tensor::zeros({}, DType::f32, parts_.model.device())),
      loss_scale_(Tensor::zeros({}, DType::f32, parts_.model.device())) {}

std::vector<Tensor*> TrainingStep::Input::tensors() {
  std::vector<Tensor*> all{&trunk.values, &labels};
  if (mix)
    all.insert(all.end(), {&mix->pixels.partners, &mix->pixels.share, &mix->pixels.box,
                           &mix->labels, &mix->share, &mix->rest});
  return all;
}

TrainingStep::Input TrainingStep::input_of(const Batch& batch,
                                           const std::optional<Mix>& mix) const {
  if (!mix) return {trunk_input(batch, parts_.input), batch.labels, {}};
  return {trunk_input(batch, {}), batch.labels, tensors_of(*mix, batch.labels)};
}

StepResult TrainingStep::run(const Batch& batch, const StepNumbers& numbers) {
  Input input = input_of(batch, numbers.mix);
  prepare(numbers);
  Captured* captured = captured_for(input);
  if (captured) {
    const std::vector<Tensor*> from = input.tensors(), to = captured->input.tensors();
    for (size_t i = 0; i < to.size(); ++i) to[i]->copy_from(*from[i]);
    captured->step->launch();
  } else {
    queue(input);
  }
  return finish(captured);
}

Tensor TrainingStep::loss_of(const Batch& batch, const std::optional<Mix>& mix) {
  return loss_of(input_of(batch, mix));
}

Tensor TrainingStep::loss_of(Input input) {
  for (Tensor* t : input.tensors()) *t = t->to(parts_.model.device());
  if (!input.mix)
    return cross_entropy(logits_of(parts_.model, input.trunk), input.labels, parts_.loss);
  input.trunk.values = mixed_input(parts_.model, input.trunk.values, input.mix->pixels);
  return mixed_loss(logits_of(parts_.model, input.trunk), input.labels, *input.mix, parts_.loss);
}

void TrainingStep::prepare(const StepNumbers& numbers) {
  set_random_step(parts_.model, numbers.seed, numbers.step);
  parts_.optimizer.prepare(numbers.rate, numbers.loss_scale);
  loss_scale_.copy_from(Tensor::full({}, float(numbers.loss_scale)));
}

// What is captured: nothing here waits for the device. Of an infinite loss the gradients may be
// finite, and would teach: infinity times 0 is NaN, so that they are not.
void TrainingStep::queue(const Input& input) {
  parts_.optimizer.zero_grad();
  const Tensor value = loss_of(input);
  loss_.copy_from(value);
  value.backward(add(loss_scale_, scale(loss_, 0.0f)));
  if (parts_.pull) parts_.pull->add_gradient(loss_scale_);
  parts_.optimizer.apply();
}

StepResult TrainingStep::finish(Captured* captured) {
  const StepResult result{double(loss_.item()), parts_.optimizer.finish()};
  if (!result.norm || !parts_.average) return result;
  parts_.average->prepare();
  if (captured)
    captured->average->launch();
  else
    parts_.average->apply();
  return result;
}

TrainingStep::Shapes TrainingStep::shapes_of(Input& input) {
  Shapes shapes{{}, input.trunk.begin};
  for (const Tensor* t : input.tensors()) shapes.tensors.emplace_back(t->shape(), t->dtype());
  return shapes;
}

void TrainingStep::forget_what_changed() {
  if (!captured_ || version_of(captured_->frozen) == captured_->version) return;
  captured_.reset();
  seen_.clear();
}

// For the first shapes that come again; null for others, and where it is refused.
TrainingStep::Captured* TrainingStep::captured_for(Input& input) {
  forget_what_changed();
  const Shapes shapes = shapes_of(input);
  if (captured_ || !may_capture_)
    return captured_ && captured_->shapes == shapes ? captured_.get() : nullptr;
  if (std::find(seen_.begin(), seen_.end(), shapes) == seen_.end()) {
    seen_.push_back(shapes);
    return nullptr;
  }
  try {
    captured_ = capture(input);
  } catch (const cuda::DeviceError& e) {
    if (e.sticky) throw;
    give_up(e.what());
  } catch (const cuda::OutOfMemory& e) {
    give_up(e.what());
  }
  return captured_.get();
}

std::unique_ptr<TrainingStep::Captured> TrainingStep::capture(const Input& like) {
  auto made = std::make_unique<Captured>();
  made->input = like;
  made->shapes = shapes_of(made->input);
  for (auto& [path, tensor] : frozen_tensors(parts_.model)) made->frozen.push_back(tensor);
  made->version = version_of(made->frozen);
  for (Tensor* t : made->input.tensors()) *t = Tensor::zeros(t->shape(), t->dtype(), Device::cuda);
  made->step = std::make_unique<CapturedWork>([&] { queue(made->input); });
  if (parts_.average)
    made->average = std::make_unique<CapturedWork>([&] { parts_.average->apply(); });
  return made;
}

void TrainingStep::give_up(const std::string& why) {
  may_capture_ = false;
  refused(why);
}

}  // namespace graft
