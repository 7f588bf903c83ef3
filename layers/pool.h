// Pooling layers; none has parameters.
#pragma once
#include "core/ops.h"
#include "layers/module.h"

namespace graft {

class MaxPool2d : public Module {
 public:
  MaxPool2d(int window, int stride, int padding = 0, bool ceil_mode = false)
      : spec{{window, window}, {stride, stride}, {padding, padding, padding, padding}, ceil_mode} {}
  Tensor forward(Tensor x) override { return max_pool2d(x, spec); }
  std::string describe() const override {
    return fmt::format("MaxPool2d {}x{}, stride {}", spec.window[0], spec.window[1], spec.stride[0]);
  }

  PoolSpec spec;
};

class AvgPool2d : public Module {
 public:
  AvgPool2d(int window, int stride, int padding = 0, bool count_padding = true)
      : spec{{window, window}, {stride, stride}, {padding, padding, padding, padding}, false,
             count_padding} {}
  Tensor forward(Tensor x) override { return avg_pool2d(x, spec); }
  std::string describe() const override {
    return fmt::format("AvgPool2d {}x{}, stride {}", spec.window[0], spec.window[1], spec.stride[0]);
  }

  PoolSpec spec;
};

class AdaptiveAvgPool2d : public Module {
 public:
  AdaptiveAvgPool2d(int out_h, int out_w) : out_h(out_h), out_w(out_w) {}
  Tensor forward(Tensor x) override { return adaptive_avg_pool2d(x, out_h, out_w); }
  std::string describe() const override {
    return fmt::format("AdaptiveAvgPool2d to {}x{}", out_h, out_w);
  }

  int out_h, out_w;
};

}  // namespace graft
