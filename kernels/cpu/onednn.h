// What the oneDNN-backed kernels share: one engine and stream, primitives kept by key, scratch
// memory from graft's own pool, and the list of slow reference implementations that were picked.
#pragma once
#include <dnnl.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernels/parallel.h"

namespace graft::cpu {

const dnnl::engine& onednn_engine();

// Runs a primitive to its end on this thread's stream; adds a scratchpad when it wants one.
void execute(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
             std::unordered_map<int, dnnl::memory> arguments);

// A oneDNN view of foreign memory. Const is cast away: oneDNN has no const memory.
dnnl::memory view(const dnnl::memory::desc& desc, const void* data);

// Copies between layouts.
void reorder(const dnnl::memory& from, const dnnl::memory& to);

// Attributes for user-managed scratchpads plus post-operations.
dnnl::primitive_attr attributes(const dnnl::post_ops& post_ops = {});

void note_implementation(const std::string& implementation, const std::string& problem);
std::vector<std::string> noted_reference_implementations();

// A map from problems to made primitives, which hold for one number of threads. Creation costs
// milliseconds, lookup microseconds.
template <class Key, class Value> class PrimitiveCache {
 public:
  template <class Make> std::shared_ptr<const Value> get(const Key& key, const Make& make) {
    std::lock_guard lock(mutex_);
    auto whole = std::make_pair(thread_count(), key);
    auto found = values_.find(whole);
    if (found != values_.end()) return found->second;
    if (values_.size() >= kMost) values_.clear();  // only with ever-changing shapes
    return values_.emplace(whole, std::make_shared<const Value>(make())).first->second;
  }

 private:
  static constexpr size_t kMost = 4096;
  std::mutex mutex_;
  std::map<std::pair<int, Key>, std::shared_ptr<const Value>> values_;
};

// A block of pool memory that lives for one scope.
class Scratch {
 public:
  explicit Scratch(size_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  void* data() const { return data_; }

 private:
  void* data_;
  size_t bytes_;
};

}  // namespace graft::cpu
