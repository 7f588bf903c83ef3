// Squeeze and excitation (Hu et al., CVPR 2018): every channel is scaled by a gate that sees the
// means of all of them. Two 1x1 convolutions on the (N,1,1,C) map of means.
#pragma once
#include "layers/conv_norm_act.h"

namespace graft {

class SqueezeExcite : public Module {
 public:
  SqueezeExcite(int64_t channels, int64_t narrow, Activation activation, Activation gate)
      : fc1(channels, narrow, {}), fc2(narrow, channels, {}), activation_(activation),
        gate_(gate) {}

  Tensor forward(Tensor x) override {
    Tensor s = adaptive_avg_pool2d(x, 1, 1);
    s = conv_norm_act(std::move(s), fc1, nullptr, activation_);
    return mul_images(x, conv_norm_act(std::move(s), fc2, nullptr, gate_));
  }
  std::string describe() const override { return "SqueezeExcite"; }
  GRAFT_FIELDS(fc1, fc2)

  Conv2d fc1, fc2;

 private:
  Activation activation_, gate_;
};

}  // namespace graft
