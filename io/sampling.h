// Orders of an epoch in which every class comes up equally often (class-balanced sampling; Kang et
// al., "Decoupling representation and classifier", ICLR 2020).
#pragma once
#include <cstdint>
#include <vector>

#include "io/dataset.h"

namespace graft {

// As many places as there are samples, a pure function of (data, seed, epoch). Each class that has
// samples gets an equal number of places, up to one; within a class no sample comes up again before
// all others have. A sample of a rare class comes up several times, one of a frequent class perhaps
// never.
std::vector<int64_t> balanced_order(const Dataset& data, uint64_t seed, uint64_t epoch);

}  // namespace graft
