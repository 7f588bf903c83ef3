#include "kernels/layer_norm.h"

#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/trace.h"

namespace graft {

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps) {
  GRAFT_CHECK(x.rank() > 0 && x.dim(-1) > 0 && gamma.shape() == Shape{x.dim(-1)} &&
                  beta.shape() == gamma.shape(),
              "layer_norm: x {}, gamma {}, beta {}", x.shape(), gamma.shape(), beta.shape());
  if (tracing({&x})) return traced("layer_norm", {x, gamma, beta}, x.shape(), eps);
  LayerNormProblem p{x.size() / x.dim(-1), x.dim(-1), eps};
  Tensor y = empty_like(x, x.shape());
  const bool recorded = recording({&x, &gamma, &beta});
  Tensor mean, rstd;
  if (recorded) mean = empty_f32(x, {p.rows}), rstd = empty_f32(x, {p.rows});
  GRAFT_KERNEL(y, layer_norm, p, in<T>(x), in<float>(gamma), in<float>(beta), out<T>(y), out<float>(mean),
               out<float>(rstd));
  if (!recorded) return y;
  Tensor kept = x.requires_grad() || gamma.requires_grad() ? x.detach() : Tensor();
  return record("layer_norm", y, {x, gamma, beta},
                [=, gamma = gamma.detach()](const Tensor& dy, const Needed& needed) {
                  std::vector<Tensor> grads(3);
                  if (needed[0]) grads[0] = empty_like(dy, dy.shape());
                  for (size_t i : {1, 2})
                    if (needed[i]) grads[i] = empty_f32(dy, {p.channels});
                  GRAFT_KERNEL(dy, layer_norm_backward, p, in<T>(kept), in<float>(gamma), in<float>(mean),
                               in<float>(rstd), in<T>(dy),
                               {out<T>(grads[0]), out<float>(grads[1]), out<float>(grads[2])});
                  return grads;
                });
}

}  // namespace graft
