#include "models/feature_cache.h"

#include <cstring>

#include "core/autograd.h"

namespace graft {
namespace {

Tensor stacked(const std::vector<Tensor>& values) {
  Shape shape = values.at(0).shape();
  shape.insert(shape.begin(), int64_t(values.size()));
  Tensor all(shape, values[0].dtype());
  const size_t bytes = values[0].bytes();
  char* to = static_cast<char*>(all.mutable_raw());
  for (const Tensor& value : values) {
    GRAFT_CHECK(value.shape() == values[0].shape() && value.dtype() == values[0].dtype(),
                "feature cache: {} beside {}", value.shape(), values[0].shape());
    std::memcpy(to, value.raw(), bytes);
    to += bytes;
  }
  return all;
}

Tensor only_row(const Tensor& rows, int64_t i) {
  const Shape& shape = rows.shape();
  return rows.rows(i, i + 1).reshape({shape.begin() + 1, shape.end()}).clone();
}

}  // namespace

// Of the pixels in the batch, on the processor; undefined when there are none.
Tensor FeatureCache::compute(const Batch& batch) {
  if (!batch.images.defined()) return {};
  NoGrad no_grad;
  return model_.begin(input_of(model_, batch), end_).to(Device::cpu);
}

TrunkInput FeatureCache::input(const Batch& batch) {
  if (batch.keys.empty()) return {batch.images};
  const Tensor made = compute(batch);
  std::vector<Tensor> values = batch.kept;
  int64_t next = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].defined()) continue;
    values[i] = only_row(made, next++);
    store_.put(batch.keys[i], values[i]);
  }
  misses_ += next;
  hits_ += int64_t(values.size()) - next;
  return {stacked(values), end_};
}

}  // namespace graft
