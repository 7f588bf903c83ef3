#include "layers/batch_norm.h"

#include "core/captured_work.h"

namespace graft {

const char* name_of(NormPolicy policy) {
  switch (policy) {
    case NormPolicy::train: return "train";
    case NormPolicy::affine: return "affine";
    case NormPolicy::stats: return "stats";
    case NormPolicy::frozen: return "frozen";
  }
  return "?";
}

BatchNorm2d::BatchNorm2d(int64_t channels, float eps, float momentum)
    : weight({channels}), bias({channels}), running_mean(Tensor::zeros({channels})),
      running_var(Tensor::full({channels}, 1)),
      num_batches_tracked(Tensor::zeros({}, DType::i64)), eps(eps), momentum(momentum) {
  weight.copy_from(Tensor::full({channels}, 1));
  bias.copy_from(Tensor::zeros({channels}));
}

void BatchNorm2d::policy(NormPolicy policy) {
  policy_ = policy;
  bool learn = policy == NormPolicy::train || policy == NormPolicy::affine;
  weight.requires_grad(learn);
  bias.requires_grad(learn);
}

void BatchNorm2d::own_requires_grad(bool wanted) {
  policy(wanted ? policy_ : NormPolicy::frozen);
}

bool BatchNorm2d::uses_batch_statistics() const {
  return training() && (policy_ == NormPolicy::train || policy_ == NormPolicy::stats);
}

Tensor BatchNorm2d::forward(const Tensor& x, Activation activation, const Tensor& residual) {
  if (!uses_batch_statistics())
    return batch_norm_frozen(x, weight, bias, running_mean, running_var, eps, activation, residual);
  Tensor y = batch_norm_train(x, weight, bias, running_mean, running_var, momentum, eps,
                              activation, residual);
  at_each_launch([mean = running_mean, var = running_var, count = num_batches_tracked]() mutable {
    ++*count.mutable_data<int64_t>();
    mean.mutable_address(), var.mutable_address();  // new versions
  });
  return y;
}

std::string BatchNorm2d::describe() const {
  return fmt::format("BatchNorm2d {}, {}", weight.size(), name_of(policy_));
}

}  // namespace graft
