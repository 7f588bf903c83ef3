#include "kernels/layer_norm.h"

#include "core/autograd.h"
#include "core/ops.h"
#include "core/trace.h"

namespace graft {

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps) {
  GRAFT_CHECK(x.rank() > 0 && x.dim(-1) > 0 && gamma.shape() == Shape{x.dim(-1)} &&
                  beta.shape() == gamma.shape(),
              "layer_norm: x {}, gamma {}, beta {}", x.shape(), gamma.shape(), beta.shape());
  if (tracing({&x})) return traced("layer_norm", {x, gamma, beta}, x.shape(), eps);
  LayerNormProblem p{x.size() / x.dim(-1), x.dim(-1), eps};
  Tensor y(x.shape());
  const bool recorded = recording({&x, &gamma, &beta});
  Tensor mean, rstd;
  if (recorded) mean = Tensor({p.rows}), rstd = Tensor({p.rows});
  cpu::layer_norm(p, x.data(), gamma.data(), beta.data(), y.mutable_data(),
                  recorded ? mean.mutable_data() : nullptr,
                  recorded ? rstd.mutable_data() : nullptr);
  if (!recorded) return y;
  Tensor kept = x.requires_grad() || gamma.requires_grad() ? x.detach() : Tensor();
  return record("layer_norm", y, {x, gamma, beta},
                [=, gamma = gamma.detach()](const Tensor& dy, const Needed& needed) {
                  std::vector<Tensor> grads(3);
                  if (needed[0]) grads[0] = Tensor(dy.shape());
                  for (size_t i : {1, 2})
                    if (needed[i]) grads[i] = Tensor({p.channels});
                  auto out = [&](size_t i) { return needed[i] ? grads[i].mutable_data() : nullptr; };
                  cpu::layer_norm_backward(p, kept.defined() ? kept.data() : nullptr, gamma.data(),
                                           mean.data(), rstd.data(), dy.data(),
                                           {out(0), out(1), out(2)});
                  return grads;
                });
}

}  // namespace graft
