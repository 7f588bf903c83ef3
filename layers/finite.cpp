#include "layers/finite.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"

namespace graft {
namespace {

std::string path_of(Module& model, const Module* wanted) {
  std::string found = model.describe();
  each_module(model, [&](const std::string& path, Module& m) {
    if (&m == wanted && !path.empty()) found = path;
  });
  return found;
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
  std::string broken;
  auto look = [&](const std::string& path, const Tensor& t) {
    if (broken.empty() && t.dtype() == DType::f32 && !all_finite(t)) broken = path;
  };
  each_param(model, [&](const std::string& path, Param& p) { look(path, p); });
  each_buffer(model, [&](const std::string& path, Tensor& t) { look(path, t); });
  if (!broken.empty()) return broken;
  const Module* first = nullptr;
  Watch watch([&](const Module& module, const Tensor& y) {
    if (!first && !all_finite(y)) first = &module;
  });
  NoGrad no_grad;
  run();
  return first ? path_of(model, first) : "";
}

}  // namespace graft
