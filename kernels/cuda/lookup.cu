// Rows of a table by their numbers, transposed; and their gradients.
//
//   lookup           a thread makes one element of y; the table is small and stays in the cache
//   lookup_gradient  a warp makes 32 columns of one row: it looks at 32 numbers at a time, and adds
//                    up the gradients of those that are its row, one after another, which is the
//                    order of the processor. No two warps write the same row, so there is nothing
//                    to agree on.
//
// Bytes moved: y or dy once, the numbers once for each warp, from the cache.
// Not yet run on a GPU.
#include "kernels/lookup.h"

#include <algorithm>
#include <cmath>

#include "kernels/cuda/pack.cuh"

namespace graft::cuda {
namespace {

constexpr int kWarp = 32, kRowsPerBlock = kBlock / kWarp;

// table (rows, columns), index (count) -> y (columns, count); blockIdx.y: column
__global__ void __launch_bounds__(kBlock) look_up(const LookupProblem p, const float* table, const int64_t* index,
                                                  float* y) {
  const int64_t i = int64_t(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= p.count) return;
  const int64_t row = index[i], column = blockIdx.y;
  const bool known = row >= 0 && row < p.rows;
  y[column * p.count + i] = known ? table[row * p.columns + column] : NAN;
}

// dy (columns, count), index (count) -> dtable (rows, columns); blockIdx.y: 32 columns
__global__ void __launch_bounds__(kBlock) sum_looked_up(const LookupProblem p, const float* dy,
                                                        const int64_t* index, float* dtable) {
  const int lane = int(threadIdx.x) % kWarp;
  const int64_t row = int64_t(blockIdx.x) * kRowsPerBlock + threadIdx.x / kWarp;
  const int64_t column = int64_t(blockIdx.y) * kWarp + lane;
  if (row >= p.rows) return;  // the whole warp
  float sum = 0;
  for (int64_t first = 0; first < p.count; first += kWarp) {
    const int64_t i = first + lane;
    unsigned hits = __ballot_sync(0xffffffffu, i < p.count && index[i] == row);
    for (; hits; hits &= hits - 1)
      if (column < p.columns) sum += dy[column * p.count + first + __ffs(int(hits)) - 1];
  }
  if (column < p.columns) dtable[row * p.columns + column] = sum;
}

}  // namespace

void lookup(const LookupProblem& p, const float* table, const int64_t* index, float* y, Stream stream) {
  if (p.count <= 0 || p.columns <= 0) return;
  const dim3 grid(unsigned(blocks_for(p.count)), unsigned(p.columns));
  launch(look_up, {grid, dim3(kBlock), 0, stream}, p, table, index, y);
}

void lookup_gradient(const LookupProblem& p, const float* dy, const int64_t* index, float* dtable,
                     Stream stream) {
  if (p.rows <= 0 || p.columns <= 0) return;
  const dim3 grid(unsigned((p.rows + kRowsPerBlock - 1) / kRowsPerBlock),
                  unsigned((p.columns + kWarp - 1) / kWarp));
  launch(sum_looked_up, {grid, dim3(kBlock), 0, stream}, p, dy, index, dtable);
}

}  // namespace graft::cuda
