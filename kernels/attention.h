// Scaled dot-product attention (Vaswani et al., 2017), with what is added to its scores.
#pragma once
#include <cstdint>

namespace graft {

// qkv (images, tokens, 3, heads, width): queries, keys and values. For every image and head
//   y = softmax(scale q k^T + bias[head] + mask[image % masks]) v
struct AttentionProblem {
  int64_t images, tokens, heads, width;  // width: channels of a head
  float scale;
  const float* bias = nullptr;  // (heads, tokens, tokens); null: none
  const float* mask = nullptr;  // (masks, tokens, tokens); null: none
  int64_t masks = 1;
};

struct AttentionGradients {  // null: not wanted
  float* dqkv = nullptr;
  float* dbias = nullptr;
};

namespace cpu {

void attention(const AttentionProblem& p, const float* qkv, float* y);  // y (images, tokens, heads, width)

// The softmax is computed again: keeping it would take tokens^2 numbers for every head and image.
void attention_backward(const AttentionProblem& p, const float* qkv, const float* dy,
                        const AttentionGradients& out);

}  // namespace cpu
}  // namespace graft
