// Rows of a table by their numbers, transposed, and what a gradient of them adds up to in the table:
// the biases of attention by the distance of two tokens. All f32.
#pragma once
#include <cstdint>

#include "kernels/runtime.h"

namespace graft {

struct LookupProblem {
  int64_t rows, columns;  // of the table
  int64_t count;          // of numbers
};

namespace cpu {

// table (rows, columns), index (count), numbers of rows -> y (columns, count).
void lookup(const LookupProblem& p, const float* table, const int64_t* index, float* y);
// dy (columns, count) -> dtable (rows, columns): for each row the sum over its numbers, in their order.
void lookup_gradient(const LookupProblem& p, const float* dy, const int64_t* index, float* dtable);

}  // namespace cpu

namespace cuda {

// As above, in device memory, and with the same bits. A number that is none of a row gives NaN, and its
// gradient goes nowhere.
void lookup(const LookupProblem& p, const float* table, const int64_t* index, float* y, Stream stream);
void lookup_gradient(const LookupProblem& p, const float* dy, const int64_t* index, float* dtable,
                     Stream stream);

}  // namespace cuda
}  // namespace graft
