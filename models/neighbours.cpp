#include "models/neighbours.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/ops.h"
#include "kernels/parallel.h"

namespace graft {
namespace {

// (N,C) of length 1; of a map its mean. A feature that is 0 everywhere stays so.
Tensor directions(const Tensor& features) {
  NoGrad off;
  Tensor x = features.rank() == 4 ? global_avg_pool(features) : features.clone();
  const int64_t c = x.dim(-1);
  float* values = x.mutable_data();
  for (int64_t i = 0; i < x.dim(0); ++i) {
    double length = 0;
    for (int64_t j = 0; j < c; ++j) length += double(values[i * c + j]) * values[i * c + j];
    const float factor = length > 0 ? float(1 / std::sqrt(length)) : 0;
    for (int64_t j = 0; j < c; ++j) values[i * c + j] *= factor;
  }
  return x;
}

struct Neighbour {
  float cosine;
  int32_t label;
};

// The class of the largest sum of weights; of equal ones the first.
int64_t vote(std::vector<Neighbour>& all, int64_t classes, const NeighbourSpec& spec) {
  const auto nearest = all.begin() + std::min<int64_t>(spec.k, int64_t(all.size()));
  std::stable_sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.cosine > b.cosine; });
  std::vector<double> votes(size_t(classes), 0.0);
  for (auto n = all.begin(); n != nearest; ++n)
    votes[size_t(n->label)] += std::exp((double(n->cosine) - 1) / spec.temperature);
  return std::max_element(votes.begin(), votes.end()) - votes.begin();
}

double accuracy(const Features& known, const Features& asked, int64_t classes,
                const NeighbourSpec& spec, bool left_out) {
  const Tensor to = directions(known.values), from = left_out ? to : directions(asked.values);
  const int64_t n = from.dim(0), m = to.dim(0), c = to.dim(1);
  GRAFT_CHECK(from.dim(1) == c && spec.k > 0, "neighbours: features {} among {}, {} of them",
              from.shape(), to.shape(), spec.k);
  std::vector<char> right(size_t(n), 0);
  cpu::parallel_for(n, 1, [&](int64_t begin, int64_t end) {
    std::vector<Neighbour> all;
    for (int64_t i = begin; i < end; ++i) {
      all.clear();
      const float* x = from.data() + i * c;
      for (int64_t j = 0; j < m; ++j) {
        if (left_out && i == j) continue;
        const float* y = to.data() + j * c;
        double cosine = 0;
        for (int64_t l = 0; l < c; ++l) cosine += double(x[l]) * y[l];
        all.push_back({float(cosine), known.labels.data<int32_t>()[j]});
      }
      right[size_t(i)] = vote(all, classes, spec) == asked.labels.data<int32_t>()[i];
    }
  });
  return double(std::count(right.begin(), right.end(), 1)) / double(n);
}

}  // namespace

double neighbour_accuracy(const Features& known, const Features& asked, int64_t classes,
                          const NeighbourSpec& spec) {
  return accuracy(known, asked, classes, spec, false);
}

double neighbour_accuracy_left_out(const Features& known, int64_t classes,
                                   const NeighbourSpec& spec) {
  return accuracy(known, known, classes, spec, true);
}

}  // namespace graft
