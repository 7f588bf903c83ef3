// What a network makes of samples, kept in memory by key: up to a number of bytes, beyond which the
// least recently used makes room. All functions may be called from any thread.
#pragma once
#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "io/sample_key.h"

namespace graft {

struct FeatureEntry {
  SampleKey key;
  Tensor value;  // of one sample, on the processor; not to be changed
};

class FeatureStore {
 public:
  explicit FeatureStore(int64_t most_bytes) : most_(most_bytes) {}

  Tensor find(const SampleKey& key);             // undefined when there is none
  void put(const SampleKey& key, Tensor value);  // replaces; not kept if larger than all room
  int64_t bytes() const;                         // of values that are kept
  std::vector<FeatureEntry> entries() const;     // least recently used first

 private:
  using Order = std::list<FeatureEntry>;
  void drop(Order::iterator entry);

  const int64_t most_;
  mutable std::mutex mutex_;
  Order order_;  // least recently used first
  std::unordered_map<SampleKey, Order::iterator, SampleKeyHash> entries_;
  int64_t bytes_ = 0;
};

}  // namespace graft
