// Sums. Taken in chunks fixed by the size alone and added in order, in double: the same bits for
// any number of threads.
#pragma once
#include <cstdint>

namespace graft::cpu {

double sum(int64_t n, const float* x);
double sum_of_squares(int64_t n, const float* x);  // for clipping by global norm
double dot(int64_t n, const float* a, const float* b);
void sum_rows(int64_t rows, int64_t c, const float* x, float* y);  // (rows, c) -> (c)
// y[j] = sum over the rows of a b, both (rows, c).
void dot_rows(int64_t rows, int64_t c, const float* a, const float* b, float* y);

}  // namespace graft::cpu
