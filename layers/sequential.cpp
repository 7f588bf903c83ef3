#include "layers/sequential.h"

#include <algorithm>

#include "layers/activation.h"
#include "layers/conv_norm_act.h"

namespace graft {

Tensor Sequential::forward(Tensor x, Tensor residual, Activation activation) {
  auto layer = [&]<class M>(size_t i, M*) {
    return i < layers_.size() ? dynamic_cast<M*>(layers_[i].get()) : nullptr;
  };
  for (size_t i = 0; i < layers_.size();) {
    auto* inner = layer(i, static_cast<Sequential*>(nullptr));
    auto* conv = layer(i, static_cast<Conv2d*>(nullptr));
    auto* norm = layer(conv ? i + 1 : i, static_cast<BatchNorm2d*>(nullptr));
    Module& first = *layers_[i];
    i += std::max(bool(conv) + bool(norm), 1);
    auto* act = conv || norm ? layer(i, static_cast<Activate*>(nullptr)) : nullptr;
    if (act) ++i;
    bool open = i == layers_.size() && !act;  // residual and activation may join this kernel
    if (conv && open)
      return conv_norm_act(std::move(x), *conv, norm, activation, std::move(residual));
    if (inner && open) return inner->forward(std::move(x), std::move(residual), activation);
    Activation own = act ? act->activation : Activation::none;
    if (conv) x = conv_norm_act(std::move(x), *conv, norm, own);
    else if (norm) x = norm->forward(x, own, {});
    else x = first(std::move(x));
  }
  return activate(residual.defined() ? graft::add(x, residual) : x, activation);
}

void Sequential::fields(Visitor& v) {
  for (size_t i = 0; i < layers_.size(); ++i) v.child(names_[i], *layers_[i]);
}

}  // namespace graft
