#include "layers/window_attention.h"

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

}  // namespace

WindowAttention::WindowAttention(int64_t width, int heads, int side, bool shifted)
    : relative_position_bias_table({(2 * side - 1) * (2 * side - 1), heads}),
      relative_position_index(relative_positions(side)), qkv(width, 3 * width), proj(width, width),
      heads_(heads), side_(side), shifted_(shifted) {}

// Along a side that one window covers there is nothing to shift.
WindowSpec WindowAttention::windows_for(const Tensor& x) const {
  GRAFT_CHECK(x.rank() == 4, "WindowAttention: x {} must be (N,H,W,C)", x.shape());
  auto shift = [&](int dim) { return shifted_ && x.dim(dim) > side_ ? side_ / 2 : 0; };
  return {{side_, side_}, {shift(1), shift(2)}};
}

Tensor WindowAttention::forward(Tensor x) {
  const WindowSpec windows = windows_for(x);
  const Shape map = x.shape();
  const int64_t tokens = side_ * side_;
  Tensor bias = lookup(relative_position_bias_table, relative_position_index)
                    .reshape({heads_, tokens, tokens});
  Tensor mask;
  if (windows.shift[0] + windows.shift[1] > 0) mask = window_mask(map[1], map[2], windows, kApart);
  x = qkv(to_windows(x, windows));
  return from_windows(proj(attention(x, {heads_}, bias, mask)), windows, map);
}

std::string WindowAttention::describe() const {
  return fmt::format("WindowAttention {0}x{0}{1}, {2} heads", side_, shifted_ ? " shifted" : "", heads_);
}

}  // namespace graft
