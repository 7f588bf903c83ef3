// Scaled dot-product attention (Vaswani et al., 2017), with what is added to its scores.
#pragma once
#include <cstdint>

#include "kernels/runtime.h"

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

namespace cuda {

template <class T>
struct AttentionGradients {  // null: not wanted
  T* dqkv = nullptr;
  float* dbias = nullptr;
};

// As above, in device memory, bias and mask too; T (float, bf16 or f16) is the type of qkv, y and
// their gradients. Heads of at most 128 channels.
template <class T>
void attention(const AttentionProblem& p, const T* qkv, T* y, Stream stream);
template <class T>
void attention_backward(const AttentionProblem& p, const T* qkv, const T* dy,
                        const AttentionGradients<T>& out, Stream stream);

}  // namespace cuda
}  // namespace graft
