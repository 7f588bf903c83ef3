#include "layers/neighbour_vote.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/parallel.h"

namespace graft {
namespace {

// Fills `shares`; `nearest` lists the images that may vote and is reordered.
void vote(const float* cosines, std::span<const int32_t> labels, std::vector<int64_t>& nearest,
          const NeighbourSpec& spec, std::span<float> shares) {
  const auto end = nearest.begin() + std::min<int64_t>(spec.k, int64_t(nearest.size()));
  std::partial_sort(nearest.begin(), end, nearest.end(), [&](int64_t a, int64_t b) {
    return cosines[a] != cosines[b] ? cosines[a] > cosines[b] : a < b;
  });
  std::vector<double> votes(shares.size(), 0.0);
  double total = 0;
  for (auto n = nearest.begin(); n != end; ++n) {
    const double weight = std::exp((double(cosines[*n]) - 1) / spec.temperature);
    votes[size_t(labels[size_t(*n)])] += weight;
    total += weight;
  }
  for (size_t c = 0; c < shares.size(); ++c) shares[c] = nearest.empty() ? 0 : float(votes[c] / total);
}

}  // namespace

Tensor neighbour_shares(const Tensor& cosines, std::span<const int32_t> labels, int64_t classes,
                        const NeighbourSpec& spec, std::optional<int64_t> own) {
  const int64_t n = cosines.dim(0), m = cosines.dim(1);
  GRAFT_CHECK(int64_t(labels.size()) == m && spec.k > 0, "neighbours: cosines {}, {} labels, k {}",
              cosines.shape(), labels.size(), spec.k);
  Tensor shares({n, classes});
  float* out = shares.mutable_data();
  cpu::parallel_for(n, 1, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> nearest;
    for (int64_t i = begin; i < end; ++i) {
      nearest.resize(size_t(m));
      std::iota(nearest.begin(), nearest.end(), int64_t(0));
      if (own) nearest.erase(nearest.begin() + *own + i);
      vote(cosines.data() + i * m, labels, nearest, spec, {out + i * classes, size_t(classes)});
    }
  });
  return shares;
}

}  // namespace graft
