#include "layers/directions.h"

#include "core/ops.h"

namespace graft {

// The queries of tokens whose attention goes by cosines, one head, and whose keys and values nobody
// asks for. What that computes three times is little: a row per image or class.
Tensor directions(const Tensor& rows, const Tensor& log_factor) {
  const int64_t c = rows.dim(-1), n = rows.dim(0), each = n && c ? rows.size() / (n * c) : 1;
  const Tensor tokens = concat({rows, rows, rows}).reshape({n, each, 3 * c});
  return channels(cosine_heads(tokens, log_factor), 0, c).reshape(rows.shape());
}

Tensor directions(const Tensor& rows) {
  return directions(rows, Tensor::zeros({1}, DType::f32, rows.device()));  // e^0
}

Tensor mean_direction(const Tensor& features) {
  return directions(features.rank() == 4 ? global_avg_pool(features) : features);
}

}  // namespace graft
