#include "kernels/attention.h"

#include <cmath>

#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/trace.h"

namespace graft {
namespace {

void check_scores(const char* what, const Tensor& added, int64_t count, int64_t tokens) {
  if (!added.defined()) return;
  GRAFT_CHECK(added.shape() == (Shape{count, tokens, tokens}),
              "attention: {} {} for {} tokens must be {}", what, added.shape(), tokens,
              Shape{count, tokens, tokens});
}

// What is added to the scores, where the kernel runs.
AttentionProblem with(AttentionProblem p, const Tensor& bias, const Tensor& mask) {
  p.bias = in<float>(bias);
  p.mask = in<float>(mask);
  return p;
}

}  // namespace

Tensor attention(const Tensor& qkv, const AttentionSpec& spec, const Tensor& bias,
                 const Tensor& mask) {
  const int heads = spec.heads;
  GRAFT_CHECK(qkv.rank() == 3 && heads > 0 && qkv.dim(2) > 0 && qkv.dim(2) % (3 * heads) == 0,
              "attention: queries, keys and values {} must be (N,T,3C), C in {} heads", qkv.shape(),
              heads);
  AttentionProblem p{qkv.dim(0), qkv.dim(1), heads, qkv.dim(2) / (3 * heads), 1};
  if (spec.scaled) p.scale = 1.0f / std::sqrt(float(p.width));
  check_scores("bias", bias, heads, p.tokens);
  if (mask.defined()) p.masks = mask.rank() > 0 ? mask.dim(0) : 0;
  check_scores("mask", mask, p.masks, p.tokens);
  GRAFT_CHECK(p.masks > 0 && p.images % p.masks == 0, "attention: {} masks for {} images", p.masks,
              p.images);
  const Shape shape{p.images, p.tokens, p.heads * p.width};
  if (tracing({&qkv})) return traced("attention", {qkv, bias, mask}, shape, spec);
  Tensor y = empty_like(qkv, shape);
  GRAFT_KERNEL(y, attention, with(p, bias, mask), in<T>(qkv), out<T>(y));
  if (!recording({&qkv, &bias})) return y;
  Tensor kept = bias.defined() ? bias.detach() : bias;
  return record("attention", y, {qkv, bias},
                [=, qkv = qkv.detach()](const Tensor& dy, const Needed& needed) {
                  std::vector<Tensor> grads(2);
                  if (needed[0]) grads[0] = empty_like(dy, qkv.shape());
                  if (needed[1]) grads[1] = empty_f32(dy, kept.shape());
                  GRAFT_KERNEL(dy, attention_backward, with(p, kept, mask), in<T>(qkv), in<T>(dy),
                               {out<T>(grads[0]), out<float>(grads[1])});
                  return grads;
                });
}

}  // namespace graft
