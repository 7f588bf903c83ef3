#include "models/training_step.h"

#include <algorithm>

#include "kernels/runtime.h"
#include "layers/random_layer.h"

namespace graft {

TrainingStep::TrainingStep(Parts parts, bool may_capture)
    : parts_(std::move(parts)),
      may_capture_(may_capture && parts_.model.device() == Device::cuda),
      loss_(Tensor::zeros({}, DType::f32, parts_.model.device())),
      loss_scale_(Tensor::zeros({}, DType::f32, parts_.model.device())) {}

StepResult TrainingStep::run(const Batch& batch, const StepNumbers& numbers) {
  const TrunkInput input = trunk_input(batch, parts_.input);
  const Shapes shapes{input.values.shape(), input.values.dtype(), input.begin,
                      batch.labels.shape()};
  prepare(numbers);
  Captured* captured = captured_for(shapes);
  if (captured) {
    captured->input.values.copy_from(input.values);
    captured->labels.copy_from(batch.labels);
    captured->step->launch();
  } else {
    queue([&] { return loss_of(input, batch.labels.to(parts_.model.device())); });
  }
  return finish(captured);
}

StepResult TrainingStep::run(const std::function<Tensor()>& loss, const StepNumbers& numbers) {
  prepare(numbers);
  queue(loss);
  return finish(nullptr);
}

Tensor TrainingStep::loss_of(const TrunkInput& input, const Tensor& labels) {
  return cross_entropy(logits_of(parts_.model, input), labels, parts_.loss);
}

void TrainingStep::prepare(const StepNumbers& numbers) {
  set_random_step(parts_.model, numbers.seed, numbers.step);
  parts_.optimizer.prepare(numbers.rate, numbers.loss_scale);
  loss_scale_.copy_from(Tensor::full({}, float(numbers.loss_scale)));
}

// What is captured: nothing here waits for the device.
void TrainingStep::queue(const std::function<Tensor()>& loss) {
  parts_.optimizer.zero_grad();
  const Tensor value = loss();
  loss_.copy_from(value);
  value.backward(loss_scale_);
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

// For the first shapes that come again; null for others, and where it is refused.
TrainingStep::Captured* TrainingStep::captured_for(const Shapes& shapes) {
  if (captured_ || !may_capture_)
    return captured_ && captured_->shapes == shapes ? captured_.get() : nullptr;
  if (std::find(seen_.begin(), seen_.end(), shapes) == seen_.end()) {
    seen_.push_back(shapes);
    return nullptr;
  }
  try {
    captured_ = capture(shapes);
  } catch (const cuda::DeviceError& e) {
    if (e.sticky) throw;
    give_up(e.what());
  } catch (const cuda::OutOfMemory& e) {
    give_up(e.what());
  }
  return captured_.get();
}

std::unique_ptr<TrainingStep::Captured> TrainingStep::capture(const Shapes& shapes) {
  auto made = std::make_unique<Captured>();
  made->shapes = shapes;
  made->input = {Tensor::zeros(shapes.values, shapes.type, Device::cuda), shapes.begin};
  made->labels = Tensor::zeros(shapes.labels, DType::i32, Device::cuda);
  made->step = std::make_unique<CapturedWork>(
      [&] { queue([&] { return loss_of(made->input, made->labels); }); });
  if (parts_.average)
    made->average = std::make_unique<CapturedWork>([&] { parts_.average->apply(); });
  return made;
}

void TrainingStep::give_up(const std::string& why) {
  may_capture_ = false;
  refused(why);
}

}  // namespace graft
