#include "models/neighbours.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/ops.h"
#include "layers/directions.h"
#include "layers/neighbour_head.h"

namespace graft {
namespace {

constexpr int64_t kRows = 256;  // of cosines at a time

// -> accuracy and mean cross-entropy, of shares as a head of neighbours gives them.
NeighbourResult judge(const Features& known, const Features& asked, int64_t classes,
                      const NeighbourSpec& spec, bool left_out) {
  NoGrad off;
  const Tensor to = mean_direction(known.values);
  const Tensor from = left_out ? to : mean_direction(asked.values);
  const std::span labels(known.labels.data<int32_t>(), size_t(known.labels.size()));
  NeighbourResult sum;
  for (int64_t begin = 0; begin < from.dim(0); begin += kRows) {
    const int64_t end = std::min(begin + kRows, from.dim(0));
    const Tensor shares =
        neighbour_shares(linear(from.rows(begin, end), to, {}), labels, classes, spec,
                         left_out ? std::optional(begin) : std::nullopt);
    for (int64_t i = begin; i < end; ++i) {
      const float* share = shares.data() + (i - begin) * classes;
      const int32_t label = asked.labels.data<int32_t>()[i];
      sum.accuracy += std::max_element(share, share + classes) - share == label;
      sum.loss -= std::log((share[label] + kLeastShare) / (1 + double(classes) * kLeastShare));
    }
  }
  return {sum.accuracy / double(from.dim(0)), sum.loss / double(from.dim(0))};
}

}  // namespace

double neighbour_accuracy(const Features& known, const Features& asked, int64_t classes,
                          const NeighbourSpec& spec) {
  return judge(known, asked, classes, spec, false).accuracy;
}

double neighbour_accuracy_left_out(const Features& known, int64_t classes,
                                   const NeighbourSpec& spec) {
  return judge(known, known, classes, spec, true).accuracy;
}

NeighbourResult store_neighbours(Classifier& model, const Features& features, int64_t k) {
  const int64_t images = features.labels.size();
  if (images == 0) fail(Fault::data, "neighbours: there are no images to store");
  const float* values = features.values.data();
  if (!std::all_of(values, values + features.values.size(), [](float v) { return std::isfinite(v); }))
    fail(Fault::data, "neighbours: a feature of the images is not finite");
  model.form_head({HeadForm::Kind::neighbours, k, images});
  dynamic_cast<NeighbourHead&>(model.head_layer()).store(features.values, features.labels);
  return judge(features, features, model.classes(), {.k = k}, true);
}

}  // namespace graft
