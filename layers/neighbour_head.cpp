#include "layers/neighbour_head.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/ops.h"
#include "layers/directions.h"
#include "layers/neighbour_vote.h"

namespace graft {
namespace {

std::vector<int32_t> labels_in(const Tensor& weight) {  // (K,M) -> per image the row of its largest
  const int64_t k = weight.dim(0), m = weight.dim(1);
  std::vector<int32_t> labels(size_t(m), 0);
  const float* w = weight.data();
  for (int64_t c = 1; c < k; ++c)
    for (int64_t j = 0; j < m; ++j)
      if (w[c * m + j] > w[labels[size_t(j)] * m + j]) labels[size_t(j)] = int32_t(c);
  return labels;
}

}  // namespace

void NeighbourHead::store(const Tensor& features, const Tensor& labels) {
  NoGrad off;
  const int64_t m = images.dim(0);
  GRAFT_CHECK(features.dim(0) == m && features.dim(-1) == images.dim(1) && labels.size() == m,
              "neighbours: room for {}, features {}, labels {}", images.shape(), features.shape(),
              labels.shape());
  const Tensor rows = mean_direction(features);
  std::copy_n(rows.data(), rows.size(), images.mutable_data());
  std::fill_n(weight.mutable_data(), weight.size(), 0.0f);
  const int32_t* label = labels.data<int32_t>();
  float* shows = weight.mutable_data();
  for (int64_t j = 0; j < m; ++j) {
    GRAFT_CHECK(label[j] >= 0 && label[j] < weight.dim(0), "neighbours: label {} of {} classes",
                label[j], weight.dim(0));
    shows[label[j] * m + j] = 1;
  }
}

Tensor NeighbourHead::forward(Tensor x) {
  NoGrad off;
  const Tensor cosines = linear(mean_direction(x), images, {}).to(DType::f32).to(Device::cpu);
  Tensor y = neighbour_shares(cosines, labels_in(weight.to(Device::cpu)), weight.dim(0), {.k = k_});
  float* logits = y.mutable_data();
  std::transform(logits, logits + y.size(), logits, [](float v) { return std::log1p(v / kLeastShare); });
  if (x.rank() == 4) y = y.reshape({x.dim(0), 1, 1, weight.dim(0)});
  return y.to(x.device());
}

}  // namespace graft
