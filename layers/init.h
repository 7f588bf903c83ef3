// Initial values. Each parameter draws from its own stream, keyed by (seed, its path), so making
// or replacing one layer never changes what another one gets.
#pragma once
#include "layers/module.h"

namespace graft {

// Filters: He et al. 2015, normal with deviation sqrt(2 / fan_out). Matrices: uniform within
// 1 / sqrt(fan_in). Norms: gamma 1, beta 0. Other biases: 0 for filters, as the matrix for linear.
// `prefix` stands before the paths when root is a part of a model.
void initialize(Module& root, uint64_t seed, const std::string& prefix = "");

}  // namespace graft
