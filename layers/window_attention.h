// Multi-head self-attention in the windows of a map (N,H,W,C), every second time shifted by half a
// window, with a learnt bias for every relative position (Liu et al., ICCV 2021).
#pragma once
#include "layers/linear.h"

namespace graft {

class WindowAttention : public Module {
 public:
  WindowAttention(int64_t width, int heads, int side, bool shifted);

  Tensor forward(Tensor x) override;
  std::string describe() const override;
  GRAFT_FIELDS(relative_position_bias_table, relative_position_index, qkv, proj)

  Param relative_position_bias_table;  // ((2 side - 1)^2, heads): by row and column distance
  Tensor relative_position_index;      // (T T) i64, T = side^2: the table's row for two tokens
  Linear qkv, proj;

 private:
  WindowSpec windows_for(const Tensor& x) const;

  int heads_, side_;
  bool shifted_;
};

}  // namespace graft
