#include <algorithm>

#include "core/autograd.h"
#include "core/ops.h"

namespace graft {

// Tables are small, and are looked up on the processor wherever they are.
Tensor lookup(const Tensor& table, const Tensor& index) {
  GRAFT_CHECK(table.rank() == 2, "lookup: table {} must be (R,C)", table.shape());
  const int64_t rows = table.dim(0), columns = table.dim(1), count = index.size();
  const int64_t* row = index.data<int64_t>();
  GRAFT_CHECK(std::all_of(row, row + count, [=](int64_t r) { return r >= 0 && r < rows; }),
              "lookup: an index is outside of the table's {} rows", rows);
  Tensor y({columns, count});
  const Tensor here = table.to(Device::cpu);
  const float* from = here.data();
  float* to = y.mutable_data();
  for (int64_t c = 0; c < columns; ++c)
    for (int64_t i = 0; i < count; ++i) *to++ = from[row[i] * columns + c];
  return record("lookup", y.to(table.device()), {{table, [=](const Tensor& d) {
                                 const Tensor dy = d.to(Device::cpu);
                                 Tensor dtable = Tensor::zeros({rows, columns});
                                 const int64_t* row = index.data<int64_t>();
                                 const float* from = dy.data();
                                 float* to = dtable.mutable_data();
                                 for (int64_t c = 0; c < columns; ++c)
                                   for (int64_t i = 0; i < count; ++i)
                                     to[row[i] * columns + c] += *from++;
                                 return dtable.to(d.device());
                               }}});
}

}  // namespace graft
