#include "layers/finite.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/autograd.h"
#include "layers/batch_norm.h"

namespace graft {
namespace {

std::string path_of(Module& model, const Module* wanted) {
  std::string found = model.describe();
  each_module(model, [&](const std::string& path, Module& m) {
    if (&m == wanted && !path.empty()) found = path;
  });
  return found;
}

// Running statistics that training moves: a forward pass that broke before them broke them, too.
std::set<const Tensor*> moving_statistics(Module& model) {
  std::set<const Tensor*> moving;
  each_module(model, [&](auto&, Module& m) {
    auto* norm = dynamic_cast<BatchNorm2d*>(&m);
    if (norm && norm->uses_batch_statistics())
      moving.insert({&norm->running_mean, &norm->running_var});
  });
  return moving;
}

std::string first_broken_value(Module& model) {
  std::string broken;
  auto look = [&](const std::string& path, const Tensor& t) {
    if (broken.empty() && t.dtype() == DType::f32 && !all_finite(t)) broken = path;
  };
  const std::set<const Tensor*> moving = moving_statistics(model);
  each_param(model, [&](const std::string& path, Param& p) { look(path, p); });
  each_buffer(model, [&](const std::string& path, Tensor& t) {
    if (!moving.contains(&t)) look(path, t);
  });
  return broken;
}

}  // namespace

bool all_finite(const Tensor& t) {
  const Tensor here = t.to(Device::cpu).to(DType::f32);
  return std::all_of(here.data(), here.data() + here.size(),
                     [](float v) { return std::isfinite(v); });
}

std::string first_not_finite(Module& model, const Tensor& x) {
  return first_not_finite(model, [&] { model(x); });
}

std::string first_not_finite(Module& model, const std::function<void()>& run) {
  if (std::string broken = first_broken_value(model); !broken.empty()) return broken;
  const Module* first = nullptr;
  Watch watch([&](const Module& module, const Tensor& y) {
    if (!first && !all_finite(y)) first = &module;
  });
  NoGrad no_grad;
  run();
  return first ? path_of(model, first) : "";
}

}  // namespace graft
