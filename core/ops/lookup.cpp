#include <algorithm>

#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "kernels/lookup.h"

namespace graft {
namespace {

// On a CUDA device the kernel looks at each number; here, before it is one.
void check_rows(const Tensor& index, int64_t rows) {
  if (index.device() != Device::cpu) return;
  const int64_t* row = index.data<int64_t>();
  GRAFT_CHECK(std::all_of(row, row + index.size(), [=](int64_t r) { return r >= 0 && r < rows; }),
              "lookup: an index is outside of the table's {} rows", rows);
}

}  // namespace

Tensor lookup(const Tensor& table, const Tensor& index) {
  GRAFT_CHECK(table.rank() == 2, "lookup: table {} must be (R,C)", table.shape());
  const LookupProblem p{table.dim(0), table.dim(1), index.size()};
  check_rows(index, p.rows);
  const Tensor numbers = index.to(table.device());
  Tensor y = empty_f32(table, {p.columns, p.count});
  GRAFT_KERNEL(y, lookup, p, in<float>(table), in<int64_t>(numbers), out<float>(y));
  return record("lookup", y, {{table, [=](const Tensor& dy) {
    Tensor dtable = empty_f32(dy, {p.rows, p.columns});
    GRAFT_KERNEL(dtable, lookup_gradient, p, in<float>(dy), in<int64_t>(numbers), out<float>(dtable));
    return dtable;
  }}});
}

}  // namespace graft
