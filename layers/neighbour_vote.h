// The class of an image from those of its nearest neighbours: the k images of the largest cosines s
// vote for theirs with weights e^(s / t). As Wu et al., "Unsupervised feature learning via
// non-parametric instance discrimination", CVPR 2018, section 3.4.
#pragma once
#include <optional>
#include <span>

#include "core/tensor.h"

namespace graft {

struct NeighbourSpec {
  int64_t k = 20;             // as many as there are, where those are fewer
  double temperature = 0.07;  // t
};

// cosines (N,M), on the processor, labels (M) below `classes` -> (N,K), each class's share of the
// votes; NaN where a cosine is. Of equal cosines the first count as nearer. With `own` row n is
// image own + n of the M, which has no vote on itself.
Tensor neighbour_shares(const Tensor& cosines, std::span<const int32_t> labels, int64_t classes,
                        const NeighbourSpec& spec = {}, std::optional<int64_t> own = {});

}  // namespace graft
