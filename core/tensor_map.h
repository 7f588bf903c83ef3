// Named tensors: where layers and files meet. Names and shapes are the published ones.
#pragma once
#include <map>
#include <string>

#include "core/tensor.h"

namespace graft {

using TensorMap = std::map<std::string, Tensor>;

}  // namespace graft
