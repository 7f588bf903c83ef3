// An activation as a layer, for networks whose published names count it as one.
#pragma once
#include "core/ops.h"
#include "layers/module.h"

namespace graft {

class Activate : public Module {
 public:
  explicit Activate(Activation activation) : activation(activation) {}
  Tensor forward(Tensor x) override { return activate(x, activation); }
  std::string describe() const override { return name_of(activation); }

  Activation activation;
};

inline Activate relu_layer() { return Activate(Activation::relu); }

}  // namespace graft
