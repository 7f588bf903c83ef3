#include "layers/sequential.h"

#include "layers/activation.h"
#include "layers/conv_norm_act.h"

namespace graft {

Tensor Sequential::forward(Tensor x, Tensor residual) {
  auto layer = [&]<class M>(size_t i, M*) {
    return i < layers_.size() ? dynamic_cast<M*>(layers_[i].get()) : nullptr;
  };
  for (size_t i = 0; i < layers_.size();) {
    Module& first = *layers_[i];
    auto* conv = layer(i, static_cast<Conv2d*>(nullptr));
    auto* norm = layer(conv ? ++i : i, static_cast<BatchNorm2d*>(nullptr));
    auto* act = conv || norm ? layer(norm ? ++i : i, static_cast<Activate*>(nullptr)) : nullptr;
    if (act || !(conv || norm)) ++i;
    Activation activation = act ? act->activation : Activation::none;
    Tensor added = i == layers_.size() ? std::move(residual) : Tensor();
    if (conv) {
      x = conv_norm_act(std::move(x), *conv, norm, activation, std::move(added));
    } else if (norm) {
      x = norm->forward(x, activation, added);
    } else if (auto* inner = dynamic_cast<Sequential*>(&first)) {
      x = inner->forward(std::move(x), std::move(added));
    } else {
      x = first(std::move(x));
      if (added.defined()) x = graft::add(x, added);
    }
  }
  return x;
}

void Sequential::fields(Visitor& v) {
  for (size_t i = 0; i < layers_.size(); ++i) v.child(names_[i], *layers_[i]);
}

}  // namespace graft
