// Fully connected layer with the published tensors: weight (O,I), bias (O) where it has one.
#pragma once
#include "core/ops.h"
#include "layers/module.h"

namespace graft {

class Linear : public Module {
 public:
  Linear(int64_t in, int64_t out, bool biased = true) : weight({out, in}) {
    if (biased) bias = Param({out});
  }

  // A layer on a flattened (H,W,C) map, whose published columns are in (C,H,W) order.
  static Linear on_map(int64_t c, int64_t h, int64_t w, int64_t out) {
    Linear layer(c * h * w, out);
    layer.weight.layout = FileLayout::columns_chw;
    layer.weight.map_h = h;
    layer.weight.map_w = w;
    return layer;
  }

  Tensor forward(Tensor x) override { return forward(std::move(x), bias); }
  Tensor forward(Tensor x, const Tensor& bias);  // with another bias
  std::string describe() const override {
    return fmt::format("Linear {} -> {}", weight.dim(1), weight.dim(0));
  }
  GRAFT_FIELDS(weight, bias)

  Param weight, bias;
  FrozenFilter frozen;  // the weight as the kernel wants it, while nothing here learns
};

}  // namespace graft
