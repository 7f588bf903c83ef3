// Comes first in the programs of seeded.sh to which f32 is enough: kernels of other types would
// only be compiled, with every bug.
#pragma once
#include "kernels/cuda/pack.cuh"

#undef GRAFT_FOR_FLOATS
#define GRAFT_FOR_FLOATS(X) X(float)
