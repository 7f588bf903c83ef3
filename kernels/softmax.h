// Softmax over the rows of a matrix, and cross-entropy with its gradient in one go.
#pragma once
#include <cstdint>

#include "kernels/runtime.h"

namespace graft {

// Targets are t[i][j] = (1 - smoothing) weight[y_i] [j == y_i] + smoothing / classes * weight[j];
//   loss = -sum_ij t[i][j] log softmax(logits)[i][j] / sum_i weight[y_i]
// which is torch.nn.functional.cross_entropy with reduction='mean'.
struct CrossEntropyProblem {
  int64_t rows, classes;
  const int32_t* labels;           // (rows), each in [0, classes)
  const float* weights = nullptr;  // (classes), null: all one
  float smoothing = 0;
};

namespace cpu {

void softmax(int64_t rows, int64_t classes, const float* x, float* y);
// dx = y (dy - sum(dy y)); dx may be dy.
void softmax_backward(int64_t rows, int64_t classes, const float* y, const float* dy, float* dx);

// Returns the loss; writes its gradient where dlogits is not null.
float cross_entropy(const CrossEntropyProblem& p, const float* logits, float* dlogits);

}  // namespace cpu

namespace cuda {

// As above, in device memory, labels and weights too; T is float, bf16 or f16.
template <class T>
void softmax(int64_t rows, int64_t classes, const T* x, T* y, Stream stream);
template <class T>
void softmax_backward(int64_t rows, int64_t classes, const T* y, const T* dy, T* dx,
                      Stream stream);

// The loss goes to device memory; it is NaN where a label is outside [0, classes). Null: not
// wanted. The gradient is times `loss_scale`, which keeps small ones in the range of f16.
template <class T>
void cross_entropy(const CrossEntropyProblem& p, const T* logits, T* dlogits, float* loss,
                   Stream stream, float loss_scale = 1);

}  // namespace cuda
}  // namespace graft
