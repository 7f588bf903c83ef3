#include "layers/accuracy.h"

namespace graft {

int64_t count_correct(const Tensor& logits, const Tensor& labels, int k) {
  int64_t rows = logits.dim(0), classes = logits.dim(1), right = 0;
  const float* row = logits.data();
  const int32_t* label = labels.data<int32_t>();
  for (int64_t i = 0; i < rows; ++i, row += classes) {
    float own = row[label[i]];
    int better = 0;  // classes ranked before the label; of equal values the first wins, NaN never
    for (int64_t c = 0; c < classes; ++c)
      better += !(row[c] < own || (row[c] == own && c >= label[i]));
    right += better < k;
  }
  return right;
}

}  // namespace graft
