// Multi-head self-attention over tokens (N,T,C) (Vaswani et al., 2017), with the tensors of
// PyTorch's MultiheadAttention: queries, keys and values come from one matrix.
#pragma once
#include "layers/linear.h"

namespace graft {

class SelfAttention : public Module {
 public:
  SelfAttention(int64_t width, int heads)
      : in_proj_weight({3 * width, width}), in_proj_bias({3 * width}), out_proj(width, width),
        heads_(heads) {}

  Tensor forward(Tensor x) override {
    return out_proj(attention(linear(x, in_proj_weight, in_proj_bias), {heads_}));
  }
  std::string describe() const override { return fmt::format("SelfAttention, {} heads", heads_); }
  GRAFT_FIELDS(in_proj_weight, in_proj_bias, out_proj)

  Param in_proj_weight, in_proj_bias;  // queries, keys, values
  Linear out_proj;

 private:
  int heads_;
};

}  // namespace graft
