#include "kernels/pool.h"

#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/trace.h"

namespace graft {
namespace {

PoolAxis axis_of(const char* op, const Tensor& x, const PoolSpec& s, int i) {
  int before = s.padding[size_t(i)], after = s.padding[size_t(i) + 2];
  int window = s.window[size_t(i)], stride = s.stride[size_t(i)];
  GRAFT_CHECK(window > 0 && stride > 0, "{}: window {} and stride {} must be positive", op,
              s.window, s.stride);
  GRAFT_CHECK(before >= 0 && after >= 0 && before < window && after < window,
              "{}: padding {} must be smaller than the window {}", op, s.padding, s.window);
  PoolAxis axis =
      pool_axis(x.dim(1 + i), window, stride, before, after, s.ceil_mode, s.count_padding);
  GRAFT_CHECK(axis.out > 0, "{}: a window {} does not fit into x {} with padding {}", op, s.window,
              x.shape(), s.padding);
  return axis;
}

void check_rank(const char* op, const Tensor& x) {
  GRAFT_CHECK(x.rank() == 4, "{}: x {} must be (N,H,W,C)", op, x.shape());
}

PoolProblem problem_of(const char* op, const Tensor& x, const PoolSpec& s) {
  check_rank(op, x);
  return {x.dim(0), x.dim(3), axis_of(op, x, s, 0), axis_of(op, x, s, 1)};
}

Tensor average(const char* op, const Tensor& x, const PoolProblem& p, Shape shape) {
  Tensor y = empty_like(x, std::move(shape));
  GRAFT_KERNEL(y, avg_pool, p, in<T>(x), out<T>(y));
  return record(op, y, {{x, [p, shape = x.shape()](const Tensor& dy) {
                           Tensor dx = empty_like(dy, shape);
                           GRAFT_KERNEL(dx, avg_pool_backward, p, in<T>(dy), out<T>(dx));
                           return dx;
                         }}});
}

}  // namespace

Tensor max_pool2d(const Tensor& x, const PoolSpec& spec) {
  PoolProblem p = problem_of("max_pool2d", x, spec);
  const Shape shape{p.n, p.h.out, p.w.out, p.c};
  if (tracing({&x})) return traced("max_pool2d", {x}, shape, spec);
  Tensor y = empty_like(x, shape);
  Tensor tap;  // which element of the window won; x itself is not kept
  if (recording({&x})) {
    GRAFT_CHECK(p.h.window * p.w.window <= 256, "max_pool2d: a window {} has more than 256 taps",
                spec.window);
    tap = Tensor(y.shape(), DType::u8, x.device());
  }
  GRAFT_KERNEL(y, max_pool, p, in<T>(x), out<T>(y), out<uint8_t>(tap));
  return record("max_pool2d", y, {{x, [p, tap, shape = x.shape()](const Tensor& dy) {
                                     Tensor dx = empty_like(dy, shape);
                                     GRAFT_KERNEL(dx, max_pool_backward, p, in<T>(dy), in<uint8_t>(tap),
                                                  out<T>(dx));
                                     return dx;
                                   }}});
}

Tensor avg_pool2d(const Tensor& x, const PoolSpec& spec) {
  PoolProblem p = problem_of("avg_pool2d", x, spec);
  const Shape shape{p.n, p.h.out, p.w.out, p.c};
  if (tracing({&x})) return traced("avg_pool2d", {x}, shape, spec);
  return average("avg_pool2d", x, p, shape);
}

Tensor adaptive_avg_pool2d(const Tensor& x, int out_h, int out_w) {
  check_rank("adaptive_avg_pool2d", x);
  GRAFT_CHECK(out_h > 0 && out_w > 0 && x.dim(1) > 0 && x.dim(2) > 0,
              "adaptive_avg_pool2d: x {} to {}x{}", x.shape(), out_h, out_w);
  PoolProblem p{x.dim(0), x.dim(3), adaptive_axis(x.dim(1), out_h), adaptive_axis(x.dim(2), out_w)};
  if (p.h.in == out_h && p.w.in == out_w) return x;
  if (tracing({&x})) return traced("adaptive_avg_pool2d", {x}, {p.n, out_h, out_w, p.c});
  return average("adaptive_avg_pool2d", x, p, {p.n, out_h, out_w, p.c});
}

Tensor global_avg_pool(const Tensor& x) {
  check_rank("global_avg_pool", x);
  GRAFT_CHECK(x.dim(1) > 0 && x.dim(2) > 0, "global_avg_pool: x {} is empty", x.shape());
  PoolProblem p{x.dim(0), x.dim(3), adaptive_axis(x.dim(1), 1), adaptive_axis(x.dim(2), 1)};
  if (tracing({&x})) return traced("global_avg_pool", {x}, {p.n, p.c});
  return average("global_avg_pool", x, p, {p.n, p.c});
}

}  // namespace graft
