// Initial values. Each parameter draws from its own stream, keyed by (seed, its path), so making
// or replacing one layer never changes what another one gets.
#pragma once
#include "layers/module.h"

namespace graft {

// Filters: He et al. 2015, normal with deviation sqrt(2 / fan_out). Matrices: uniform within
// 1 / sqrt(fan_in). Norms: gamma 1, beta 0. Biases: 0 for filters, as the matrix for linear, normal
// with deviation 0.02 for relative positions. Cosines of attention: times 10.
void initialize(Module& root, uint64_t seed);

// A classifier's head: all values of its Linear or Conv2d layers uniform within 1 / sqrt(fan_in), so
// that the first logits are small whatever the number of classes. Of a cosine head: directions normal,
// the factor 10.
void initialize_head(Module& layer, uint64_t seed);

// The same for a head that is put behind a trained trunk, but for a single matrix, which begins at zero:
// then chance prefers no class, and the trunk is not pulled towards a head that knows nothing yet
// (Kolesnikov et al., ECCV 2020; Dosovitskiy et al., ICLR 2021).
void initialize_new_head(Module& layer, uint64_t seed);

}  // namespace graft
