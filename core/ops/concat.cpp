#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/trace.h"
#include "kernels/layout.h"

namespace graft {
namespace {

int64_t width_of_all(const std::vector<Tensor>& parts) {
  GRAFT_CHECK(!parts.empty() && parts[0].rank() > 0, "concat: nothing to put together");
  const Shape& first = parts[0].shape();
  int64_t width = 0;
  for (const Tensor& part : parts) {
    bool same = part.rank() == int(first.size()) &&
                std::equal(first.begin(), first.end() - 1, part.shape().begin());
    GRAFT_CHECK(same, "concat: shapes {} and {} differ before the last dimension", first,
                part.shape());
    width += part.dim(-1);
  }
  return width;
}

}  // namespace

Tensor concat(const std::vector<Tensor>& parts) {
  const int64_t width = width_of_all(parts);
  Shape shape = parts[0].shape();
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  shape.back() = width;
  if (tracing(parts)) return traced("concat", parts, shape);
  Tensor y = empty_like(parts[0], shape);
  std::vector<InputGrad> grads;
  int64_t at = 0;
  for (const Tensor& part : parts) {
    const int64_t own = part.dim(-1);
    GRAFT_KERNEL(y, copy_rows, 1, rows, own, in<T>(part), {0, own}, out<T>(y) + at, {0, width});
    grads.push_back(
        {part, [=, shape = part.shape()](const Tensor& dy) {
           Tensor dx = empty_like(dy, shape);
           GRAFT_KERNEL(dx, copy_rows, 1, rows, own, in<T>(dy) + at, {0, width}, out<T>(dx), {0, own});
           return dx;
         }});
    at += own;
  }
  return record("concat", y, std::move(grads));
}

}  // namespace graft
