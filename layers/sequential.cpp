#include "layers/sequential.h"

#include "layers/activation.h"
#include "layers/conv_norm_act.h"

namespace graft {

Tensor Sequential::forward(Tensor x) {
  auto layer = [&]<class M>(size_t i, M*) {
    return i < layers_.size() ? dynamic_cast<M*>(layers_[i].get()) : nullptr;
  };
  for (size_t i = 0; i < layers_.size();) {
    auto* conv = layer(i, static_cast<Conv2d*>(nullptr));
    if (!conv) {
      x = (*layers_[i++])(std::move(x));
      continue;
    }
    auto* norm = layer(++i, static_cast<BatchNorm2d*>(nullptr));
    auto* act = layer(norm ? ++i : i, static_cast<Activate*>(nullptr));
    if (act) ++i;
    x = conv_norm_act(std::move(x), *conv, norm, act ? act->activation : Activation::none);
  }
  return x;
}

void Sequential::fields(Visitor& v) {
  for (size_t i = 0; i < layers_.size(); ++i) v.child(std::to_string(i), *layers_[i]);
}

}  // namespace graft
