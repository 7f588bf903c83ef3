#include "kernels/cosine.h"

#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/ops/gradients.h"
#include "core/trace.h"

namespace graft {

Tensor cosine_heads(const Tensor& qkv, const Tensor& log_factors) {
  const int64_t heads = log_factors.size();
  GRAFT_CHECK(qkv.rank() > 0 && heads > 0 && qkv.dim(-1) > 0 && qkv.dim(-1) % (3 * heads) == 0,
              "cosine_heads: queries, keys and values {} must be (...,3C), C in {} heads",
              qkv.shape(), heads);
  if (tracing({&qkv})) return traced("cosine_heads", {qkv, log_factors}, qkv.shape());
  auto problem = [rows = qkv.size() / qkv.dim(-1), heads, width = qkv.dim(-1) / (3 * heads),
                  logs = log_factors.detach()] {
    return CosineProblem{rows, heads, width, in<float>(logs)};
  };
  Tensor y = empty_like(qkv, qkv.shape());
  GRAFT_KERNEL(y, cosine, problem(), in<T>(qkv), out<T>(y));
  return record(
      "cosine_heads", y, {qkv, log_factors},
      [=, qkv = qkv.detach(), shape = log_factors.shape()](const Tensor& dy, const Needed& needed) {
        std::vector<Tensor> grads(2);
        Tensor dots;
        if (needed[0]) grads[0] = empty_like(dy, qkv.shape());
        if (needed[1]) dots = empty_f32(dy, {qkv.size() / qkv.dim(-1), heads});
        GRAFT_KERNEL(dy, cosine_backward, problem(), in<T>(qkv), in<T>(dy), out<T>(grads[0]),
                     out<float>(dots));
        if (needed[1]) grads[1] = sum_of_rows(dots).reshape(shape);
        return grads;
      });
}

}  // namespace graft
