#include "kernels/window.h"

#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/trace.h"

namespace graft {
namespace {

WindowProblem problem(const char* op, const Shape& map, const WindowSpec& s) {
  GRAFT_CHECK(map.size() == 4, "{}: x {} must be (N,H,W,C)", op, map);
  GRAFT_CHECK(map[1] > 0 && map[2] > 0 && map[3] > 0, "{}: x {} is empty", op, map);
  for (size_t i : {0, 1})
    GRAFT_CHECK(s.window[i] > 0 && s.shift[i] >= 0 && s.shift[i] < s.window[i],
                "{}: windows {} shifted by {}", op, s.window, s.shift);
  return {map[0], map[1], map[2], map[3], s.window[0], s.window[1], s.shift[0], s.shift[1]};
}

Tensor split(const WindowProblem& p, const Tensor& x, Shape shape) {
  Tensor y = empty_like(x, std::move(shape));
  GRAFT_KERNEL(y, to_windows, p, in<T>(x), out<T>(y));
  return y;
}

Tensor join(const WindowProblem& p, const Tensor& y, const Shape& map) {
  Tensor x = empty_like(y, map);
  GRAFT_KERNEL(x, from_windows, p, in<T>(y), out<T>(x));
  return x;
}

Tensor record_split(const char* op, const WindowProblem& p, const Tensor& x, Shape shape) {
  return record(op, split(p, x, std::move(shape)), {{x, [=, map = x.shape()](const Tensor& dy) {
                                                       return join(p, dy, map);
                                                     }}});
}

}  // namespace

Tensor to_windows(const Tensor& x, const WindowSpec& spec) {
  const WindowProblem p = problem("to_windows", x.shape(), spec);
  const Shape shape{p.n * p.rows() * p.columns(), p.tokens(), p.c};
  if (tracing({&x})) return traced("to_windows", {x}, shape, spec);
  return record_split("to_windows", p, x, shape);
}

Tensor from_windows(const Tensor& y, const WindowSpec& spec, const Shape& map) {
  const WindowProblem p = problem("from_windows", map, spec);
  const Shape shape{p.n * p.rows() * p.columns(), p.tokens(), p.c};
  GRAFT_CHECK(y.shape() == shape, "from_windows: {} for a map {} must be {}", y.shape(), map, shape);
  if (tracing({&y})) return traced("from_windows", {y}, map, spec);
  return record("from_windows", join(p, y, map),
                {{y, [=](const Tensor& dx) { return split(p, dx, shape); }}});
}

Tensor window_mask(int64_t h, int64_t w, const WindowSpec& spec, float value) {
  const WindowProblem p = problem("window_mask", {1, h, w, 1}, spec);
  Tensor mask({p.rows() * p.columns(), p.tokens(), p.tokens()});
  cpu::window_mask(p, value, mask.mutable_data());
  return mask;
}

Tensor merge_patches(const Tensor& x) {
  WindowProblem p = problem("merge_patches", x.shape(), {{2, 2}});
  p.columns_first = true;
  const Shape shape{p.n, p.rows(), p.columns(), 4 * p.c};
  if (tracing({&x})) return traced("merge_patches", {x}, shape);
  return record_split("merge_patches", p, x, shape);
}

}  // namespace graft
