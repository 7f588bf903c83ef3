// What files need to know of the tensors they carry: proof that bytes are the same, and that
// values are numbers.
#pragma once
#include <string>
#include <vector>

#include "core/tensor_map.h"

namespace graft {

std::string sha256_of(const Tensor& tensor);    // of its bytes, in hexadecimal
int64_t count_nonfinite(const Tensor& tensor);  // NaN and infinities; 0 for integers

// Every tensor that holds NaN or infinities, and how many: "fc.weight: 3 of 512".
std::vector<std::string> nonfinite(const TensorMap& tensors);
// Throws Fault::data with that list unless it is empty.
void require_finite(const TensorMap& tensors, const std::string& file);

}  // namespace graft
