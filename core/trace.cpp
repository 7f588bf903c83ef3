#include "core/trace.h"

#include <algorithm>
#include <cstring>

#include "core/autograd.h"

namespace graft {
namespace {

thread_local Trace* active = nullptr;

}  // namespace

Place place_of(const Tensor& t) { return {t.impl()->storage.get(), t.impl()->offset}; }

Trace::Trace() {
  if (active) fail(Fault::internal, "trace: there is one already");
  active = this;
}

Trace::~Trace() { active = nullptr; }

// Takes no memory unless an operation that knows no trace reads it.
Tensor Trace::placeholder(Shape shape) {
  const size_t bytes = size_t(element_count(shape)) * sizeof(float);
  return Tensor::made_by(std::move(shape), DType::f32, [bytes, trace = this](void* values) {
    if (active == trace) active->read_ = true;
    std::memset(values, 0, bytes);
  });
}

Tensor Trace::input(Shape shape) {
  inputs_.push_back(placeholder(std::move(shape)));
  values_.insert(place_of(inputs_.back()));
  return inputs_.back();
}

Tensor Trace::note(TracedOp step) {
  steps_.push_back(std::move(step));
  values_.insert(place_of(steps_.back().output));
  return steps_.back().output;
}

Tensor Trace::note(const char* op, std::vector<Tensor> inputs, Shape result, std::any options) {
  return note({op, std::move(inputs), placeholder(std::move(result)), std::move(options)});
}

bool tracing(std::initializer_list<const Tensor*> inputs) {
  return active && std::any_of(inputs.begin(), inputs.end(),
                               [](const Tensor* t) { return active->has(*t); });
}

bool tracing(const std::vector<Tensor>& inputs) {
  return active && std::any_of(inputs.begin(), inputs.end(),
                               [](const Tensor& t) { return active->has(t); });
}

Tensor traced(const char* op, std::vector<Tensor> inputs, Shape result, std::any options) {
  return active->note(op, std::move(inputs), std::move(result), std::move(options));
}

Tensor note_unknown(const char* op, std::vector<Tensor> inputs, Tensor result) {
  return active->note({op, std::move(inputs), std::move(result), {}});
}

}  // namespace graft
