// The beginning of a batch, as a batch.
#pragma once
#include "io/loader.h"

namespace graft {

// Its first n samples, with their pixels or what is kept of them; 0 < n <= as many as it has.
Batch first_samples(const Batch& batch, int64_t n);

}  // namespace graft
