// Multi-head self-attention in the windows of a map (N,H,W,C), every second time shifted by half a
// window, with a bias for every relative position: learnt as it is in Swin (Liu et al., ICCV 2021);
// in Swin V2 (CVPR 2022) made by a small network, and scores are cosines.
#pragma once
#include <map>

#include "layers/linear.h"
#include "layers/sequential.h"

namespace graft {

class WindowAttention : public Module {
 public:
  WindowAttention(int64_t width, int heads, int side, bool shifted);

  Tensor forward(Tensor x) override;
  std::string describe() const override;

  Tensor relative_position_index;  // (T T) i64, T = side^2: row and column distance of two tokens
  Linear qkv, proj;

 protected:
  // The bias by distance: ((2 side - 1)^2, heads).
  virtual Tensor biases() = 0;
  // Queries, keys and values of tokens in windows, and the attention among them.
  virtual Tensor attend(Tensor tokens, const Tensor& bias, const Tensor& mask) = 0;

  int heads_, side_;

 private:
  WindowSpec windows_for(const Tensor& x) const;
  Tensor mask_for(const Tensor& x, const WindowSpec& windows);

  bool shifted_;
  std::map<Shape, Tensor> masks_;  // by the sides of maps; all stay, for work that was captured
};

class WindowAttentionV1 : public WindowAttention {
 public:
  WindowAttentionV1(int64_t width, int heads, int side, bool shifted);
  GRAFT_FIELDS(relative_position_bias_table, relative_position_index, qkv, proj)

  Param relative_position_bias_table;

 private:
  Tensor biases() override { return relative_position_bias_table; }
  Tensor attend(Tensor tokens, const Tensor& bias, const Tensor& mask) override;
};

class WindowAttentionV2 : public WindowAttention {
 public:
  WindowAttentionV2(int64_t width, int heads, int side, bool shifted);
  GRAFT_FIELDS(logit_scale, relative_coords_table, relative_position_index, cpb_mlp, qkv, proj)

  Param logit_scale;             // (heads,1,1): logarithms of the factors of the cosines
  Tensor relative_coords_table;  // (1, 2 side - 1, 2 side - 1, 2): logarithmic distances
  Sequential cpb_mlp;            // distance -> bias of every head, before a sigmoid

 private:
  Tensor biases() override;
  Tensor attend(Tensor tokens, const Tensor& bias, const Tensor& mask) override;

  Tensor without_keys_;  // (3C): 0 for keys, whose bias counts for nothing, else 1
};

}  // namespace graft
