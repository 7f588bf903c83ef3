// Batch normalisation with a policy of its own, so that what "frozen" means is always stated:
//            gamma, beta   running statistics   in training normalises with
//   train    learn         move                 the batch's statistics
//   affine   learn         stay                 the running statistics
//   stats    stay          move                 the batch's statistics
//   frozen   stay          stay                 the running statistics
// requires_grad(false) makes it `frozen`; requires_grad(true) leaves the policy as it is, so a norm
// never thaws unless asked. train() never touches it. In eval all four use the running statistics.
#pragma once
#include "core/ops.h"
#include "layers/module.h"

namespace graft {

enum class NormPolicy { train, affine, stats, frozen };
const char* name_of(NormPolicy policy);

class BatchNorm2d : public Module {
 public:
  explicit BatchNorm2d(int64_t channels, float eps = 1e-5f, float momentum = 0.1f);
  Tensor forward(Tensor x) override { return forward(std::move(x), Activation::none, {}); }
  Tensor forward(const Tensor& x, Activation activation, const Tensor& residual);
  std::string describe() const override;
  GRAFT_FIELDS(weight, bias, running_mean, running_var, num_batches_tracked)

  NormPolicy policy() const { return policy_; }
  void policy(NormPolicy policy);
  void own_requires_grad(bool wanted) override;
  bool uses_batch_statistics() const;  // in the mode it is in now

  Param weight, bias;                // gamma, beta (C)
  Tensor running_mean, running_var;  // (C)
  Tensor num_batches_tracked;        // () i64
  float eps, momentum;

 private:
  NormPolicy policy_ = NormPolicy::train;
};

}  // namespace graft
