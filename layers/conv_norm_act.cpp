#include "layers/conv_norm_act.h"

#include <cmath>

#include "core/autograd.h"
#include "core/moments.h"
#include "core/trace.h"

namespace graft {
namespace {

// Folding: gamma (conv(x) + b - mean) / sqrt(var + eps) + beta is s conv(x) + beta + (b - mean) s
// with s = gamma / sqrt(var + eps) per output channel.
Tensor folded_scale(const BatchNorm2d& norm) {
  Tensor scale(norm.weight.shape());
  const Tensor gamma = norm.weight.to(Device::cpu), var = norm.running_var.to(Device::cpu);
  float* to = scale.mutable_data();
  for (int64_t i = 0; i < scale.size(); ++i)
    to[i] = gamma.data()[i] / std::sqrt(var.data()[i] + norm.eps);
  return scale;
}

Tensor folded_bias(const Conv2d& conv, const BatchNorm2d& norm, const Tensor& scale) {
  const Tensor beta = norm.bias.to(Device::cpu), mean = norm.running_mean.to(Device::cpu);
  const Tensor bias = conv.bias.defined() ? conv.bias.to(Device::cpu) : Tensor::zeros(beta.shape());
  Tensor folded(beta.shape());
  float* to = folded.mutable_data();
  for (int64_t i = 0; i < folded.size(); ++i)
    to[i] = beta.data()[i] + (bias.data()[i] - mean.data()[i]) * scale.data()[i];
  return folded;
}

// Grows whenever one of the values that were folded does; versions only ever grow.
uint64_t version_of(const Conv2d& conv, const BatchNorm2d* norm) {
  uint64_t version = 1 + conv.weight.version() + (conv.bias.defined() ? conv.bias.version() : 0);
  if (norm)
    version += norm->weight.version() + norm->bias.version() + norm->running_mean.version() +
               norm->running_var.version();
  return version;
}

void refresh(Conv2d& conv, BatchNorm2d* norm) {
  FrozenFilter& frozen = conv.frozen;
  frozen.weight = conv.weight;
  frozen.may_round = !conv.weight.requires_grad();
  uint64_t version = version_of(conv, norm);
  if (frozen.version == version) return;
  frozen.version = version;
  frozen.scale = {};
  conv.frozen_bias = conv.bias;
  if (!norm) return;
  Tensor scale = folded_scale(*norm);
  frozen.scale = scale.to(conv.weight.device());
  conv.frozen_bias = folded_bias(conv, *norm, scale).to(conv.weight.device());
}

}  // namespace

Tensor conv_norm_act(Tensor x, Conv2d& conv, BatchNorm2d* norm, Activation activation,
                     Tensor residual) {
  const ConvSpec spec = conv.spec_for(x);
  bool conv_learns = recording({&conv.weight, &conv.bias});
  bool norm_learns = norm && recording({&norm->weight, &norm->bias});
  bool batch_statistics = norm && norm->uses_batch_statistics();
  bool written_down = tracing({&x, &residual});  // with the published tensors, not what is folded
  if (!conv_learns && !norm_learns && !batch_statistics && !written_down) {
    refresh(conv, norm);
    return shown(conv, conv2d(x, conv.frozen, conv.frozen_bias, spec, activation, std::move(residual)));
  }
  if (conv_learns) conv.frozen = {};  // packed for an evaluation; training would only carry it
  if (!norm)
    return shown(conv, conv2d(x, conv.weight, conv.bias, spec, activation, std::move(residual)));
  Tensor y = shown(conv, batch_statistics ? conv2d_with_moments(x, conv.weight, conv.bias, spec)
                                          : conv2d(x, conv.weight, conv.bias, spec));
  x = {};  // free it here where nobody else holds it
  return shown(*norm, norm->forward(y, activation, residual));
}

}  // namespace graft
