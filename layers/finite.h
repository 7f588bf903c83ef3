// Where values that are not finite come from.
#pragma once
#include <functional>
#include <string>

#include "layers/module.h"

namespace graft {

bool all_finite(const Tensor& t);  // f32, bf16 or f16, on any device

// The path of the first parameter, or running statistic that stays, that holds such a value, or else
// of the first module, in the order of execution, that makes one of x; "" if none does. Runs the
// model as it is, in training or not, without recording: running statistics may move.
std::string first_not_finite(Module& model, const Tensor& x);
std::string first_not_finite(Module& model, const std::function<void()>& run);  // which runs it

}  // namespace graft
