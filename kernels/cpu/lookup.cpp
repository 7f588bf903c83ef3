// Rows of a small table by their numbers, and back: plain loops in one thread, for the tables of
// relative positions have some hundred rows. The gradient adds in the order of the numbers.
#include "kernels/lookup.h"

#include <algorithm>

namespace graft::cpu {

void lookup(const LookupProblem& p, const float* table, const int64_t* index, float* y) {
  for (int64_t c = 0; c < p.columns; ++c)
    for (int64_t i = 0; i < p.count; ++i) *y++ = table[index[i] * p.columns + c];
}

void lookup_gradient(const LookupProblem& p, const float* dy, const int64_t* index, float* dtable) {
  std::fill_n(dtable, p.rows * p.columns, 0.0f);
  for (int64_t c = 0; c < p.columns; ++c)
    for (int64_t i = 0; i < p.count; ++i) dtable[index[i] * p.columns + c] += *dy++;
}

}  // namespace graft::cpu
