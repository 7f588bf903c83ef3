#include "kernels/cosine.h"

#include <cmath>

#include "core/autograd.h"
#include "core/ops.h"
#include "core/trace.h"
#include "kernels/reduce.h"

namespace graft {
namespace {

const float kLargest = std::log(100.0f);  // of a factor's logarithm

}  // namespace

Tensor cosine_heads(const Tensor& qkv, const Tensor& log_factors) {
  const int64_t heads = log_factors.size();
  GRAFT_CHECK(qkv.rank() > 0 && heads > 0 && qkv.dim(-1) > 0 && qkv.dim(-1) % (3 * heads) == 0,
              "cosine_heads: queries, keys and values {} must be (...,3C), C in {} heads",
              qkv.shape(), heads);
  if (tracing({&qkv})) return traced("cosine_heads", {qkv, log_factors}, qkv.shape());
  Tensor factors({heads});
  for (int64_t head = 0; head < heads; ++head)
    factors.mutable_data()[head] = std::exp(std::min(log_factors.data()[head], kLargest));
  auto problem = [rows = qkv.size() / qkv.dim(-1), heads, width = qkv.dim(-1) / (3 * heads),
                  factors] { return CosineProblem{rows, heads, width, factors.data()}; };
  Tensor y(qkv.shape());
  cpu::cosine(problem(), qkv.data(), y.mutable_data());
  return record(
      "cosine_heads", y, {qkv, log_factors},
      [=, qkv = qkv.detach(), logs = log_factors.detach()](const Tensor& dy, const Needed& needed) {
        const CosineProblem p = problem();
        std::vector<Tensor> grads(2);
        Tensor dots;
        if (needed[0]) grads[0] = Tensor(qkv.shape());
        if (needed[1]) grads[1] = Tensor(logs.shape()), dots = Tensor({p.rows, heads});
        cpu::cosine_backward(p, qkv.data(), dy.data(), needed[0] ? grads[0].mutable_data() : nullptr,
                             needed[1] ? dots.mutable_data() : nullptr);
        if (!needed[1]) return grads;
        float* dlogs = grads[1].mutable_data();
        cpu::sum_rows(p.rows, heads, dots.data(), dlogs);
        for (int64_t head = 0; head < heads; ++head)
          if (logs.data()[head] > kLargest) dlogs[head] = 0;
        return grads;
      });
}

}  // namespace graft
