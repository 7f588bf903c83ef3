#include "io/first_samples.h"

#include <algorithm>

#include "core/check.h"

namespace graft {
namespace {

int64_t with_pixels(const std::vector<Tensor>& kept) {
  return std::count_if(kept.begin(), kept.end(), [](const Tensor& t) { return !t.defined(); });
}

}  // namespace

Batch first_samples(const Batch& batch, int64_t n) {
  GRAFT_CHECK(n > 0 && n <= batch.labels.size(), "batch: {} of {} samples", n, batch.labels.size());
  Batch first{.labels = batch.labels.rows(0, n), .number = batch.number};
  auto begin_of = [n](auto& all, auto& part) {
    if (!all.empty()) part.assign(all.begin(), all.begin() + n);
  };
  begin_of(batch.indices, first.indices);
  begin_of(batch.keys, first.keys);
  begin_of(batch.kept, first.kept);
  const int64_t pixels = first.kept.empty() ? n : with_pixels(first.kept);
  if (pixels > 0) first.images = batch.images.rows(0, pixels);
  return first;
}

}  // namespace graft
