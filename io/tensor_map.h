// What files need to know of the tensors they carry: proof that bytes are the same, and that
// values are numbers.
#pragma once
#include <string>

#include "core/tensor_map.h"

namespace graft {

std::string sha256_of(const Tensor& tensor);    // of its bytes, in hexadecimal
int64_t count_nonfinite(const Tensor& tensor);  // NaN and infinities; 0 for integers

// Throws Fault::data with a list of every tensor that holds NaN or infinities, and how many.
void require_finite(const TensorMap& tensors, const std::string& file);

}  // namespace graft
