#include "layers/window_attention.h"

#include <algorithm>
#include <cmath>

#include "layers/activation.h"

namespace graft {
namespace {

constexpr float kApart = -100;  // what is added to the scores of tokens that are no neighbours

Tensor relative_positions(int64_t side) {
  const int64_t tokens = side * side;
  Tensor index({tokens * tokens}, DType::i64);
  int64_t* row = index.mutable_data<int64_t>();
  for (int64_t a = 0; a < tokens; ++a)
    for (int64_t b = 0; b < tokens; ++b) {
      const int64_t down = a / side - b / side, right = a % side - b % side;
      *row++ = (down + side - 1) * (2 * side - 1) + right + side - 1;
    }
  return index;
}

// log2(1 + 8 |d| / (side - 1)) / 3 with the sign of d, for every distance d of rows and of columns.
Tensor relative_coordinates(int64_t side) {
  const int64_t distances = 2 * side - 1;
  Tensor table({1, distances, distances, 2});
  float* values = table.mutable_data();
  auto coordinate = [side](int64_t i) {
    const double d = 8.0 * double(i - (side - 1)) / double(side - 1);
    return float(std::copysign(std::log2(1 + std::abs(d)) / 3, d));
  };
  for (int64_t i = 0; i < distances; ++i)
    for (int64_t j = 0; j < distances; ++j) *values++ = coordinate(i), *values++ = coordinate(j);
  return table;
}

}  // namespace

WindowAttention::WindowAttention(int64_t width, int heads, int side, bool shifted)
    : relative_position_index(relative_positions(side)), qkv(width, 3 * width), proj(width, width),
      heads_(heads), side_(side), shifted_(shifted) {}

// Along a side that one window covers there is nothing to shift.
WindowSpec WindowAttention::windows_for(const Tensor& x) const {
  GRAFT_CHECK(x.rank() == 4, "WindowAttention: x {} must be (N,H,W,C)", x.shape());
  auto shift = [&](int dim) { return shifted_ && x.dim(dim) > side_ ? side_ / 2 : 0; };
  return {{side_, side_}, {shift(1), shift(2)}};
}

Tensor WindowAttention::mask_for(const Tensor& x, const WindowSpec& windows) {
  if (windows.shift[0] + windows.shift[1] == 0) return {};
  Tensor& mask = masks_[{x.dim(1), x.dim(2)}];
  if (!mask.defined() || mask.device() != x.device())
    mask = window_mask(x.dim(1), x.dim(2), windows, kApart).to(x.device());
  return mask;
}

Tensor WindowAttention::forward(Tensor x) {
  const WindowSpec windows = windows_for(x);
  const Shape map = x.shape();
  const int64_t tokens = side_ * side_;
  Tensor bias = lookup(biases(), relative_position_index).reshape({heads_, tokens, tokens});
  const Tensor mask = mask_for(x, windows);
  x = attend(to_windows(x, windows), bias, mask);
  return from_windows(proj(std::move(x)), windows, map);
}

std::string WindowAttention::describe() const {
  return fmt::format("WindowAttention {0}x{0}{1}, {2} heads", side_, shifted_ ? " shifted" : "", heads_);
}

WindowAttentionV1::WindowAttentionV1(int64_t width, int heads, int side, bool shifted)
    : WindowAttention(width, heads, side, shifted),
      relative_position_bias_table({(2 * side - 1) * (2 * side - 1), heads}) {}

Tensor WindowAttentionV1::attend(Tensor tokens, const Tensor& bias, const Tensor& mask) {
  return attention(qkv(std::move(tokens)), {heads_}, bias, mask);
}

WindowAttentionV2::WindowAttentionV2(int64_t width, int heads, int side, bool shifted)
    : WindowAttention(width, heads, side, shifted), logit_scale({heads, 1, 1}),
      relative_coords_table(relative_coordinates(side)), without_keys_(Tensor::full({3 * width}, 1)) {
  cpb_mlp.add("0", Linear(2, 512)).add("1", Activate(Activation::relu));
  cpb_mlp.add("2", Linear(512, heads, /*biased=*/false));
  std::fill_n(without_keys_.mutable_data() + width, width, 0.0f);
}

Tensor WindowAttentionV2::biases() {
  return scale(sigmoid(cpb_mlp(relative_coords_table.reshape({-1, 2}))), 16);
}

Tensor WindowAttentionV2::attend(Tensor tokens, const Tensor& bias, const Tensor& mask) {
  without_keys_ = without_keys_.to(tokens.device());
  tokens = qkv.forward(std::move(tokens), mul(qkv.bias, without_keys_));
  return attention(cosine_heads(tokens, logit_scale), {heads_, /*scaled=*/false}, bias, mask);
}

}  // namespace graft
