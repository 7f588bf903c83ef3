#include "io/feature_store.h"

namespace graft {

Tensor FeatureStore::find(const SampleKey& key) {
  std::lock_guard lock(mutex_);
  auto found = entries_.find(key);
  if (found == entries_.end()) return {};
  order_.splice(order_.end(), order_, found->second);
  return found->second->value;
}

void FeatureStore::put(const SampleKey& key, Tensor value) {
  std::lock_guard lock(mutex_);
  if (auto old = entries_.find(key); old != entries_.end()) drop(old->second);
  const int64_t bytes = int64_t(value.bytes());
  if (bytes > most_) return;
  while (bytes_ + bytes > most_) drop(order_.begin());
  order_.push_back({key, std::move(value)});
  entries_[key] = std::prev(order_.end());
  bytes_ += bytes;
}

int64_t FeatureStore::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

std::vector<FeatureEntry> FeatureStore::entries() const {
  std::lock_guard lock(mutex_);
  return {order_.begin(), order_.end()};
}

void FeatureStore::drop(Order::iterator entry) {
  bytes_ -= int64_t(entry->value.bytes());
  entries_.erase(entry->key);
  order_.erase(entry);
}

}  // namespace graft
