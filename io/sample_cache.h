// What was made of samples, kept up to a number of bytes; what does not fit is simply not kept.
// All functions may be called from any thread.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace graft {

template <class Made>
class SampleCache {
 public:
  SampleCache(int64_t samples, int64_t bytes)
      : kept_(bytes > 0 ? size_t(samples) : 0), room_(bytes) {}

  std::shared_ptr<const Made> find(int64_t index) const {
    std::lock_guard lock(mutex_);
    return kept_.empty() ? nullptr : kept_[size_t(index)];
  }

  bool has_room() const {
    std::lock_guard lock(mutex_);
    return room_ > 0 && !kept_.empty();
  }

  int64_t bytes() const {  // of what is kept
    std::lock_guard lock(mutex_);
    return bytes_;
  }

  void offer(int64_t index, std::shared_ptr<const Made> made) {
    std::lock_guard lock(mutex_);
    int64_t bytes = int64_t(made->bytes());
    if (kept_.empty() || kept_[size_t(index)]) return;
    if (bytes > room_) {
      room_ = 0;  // full: no more is made just to be refused
      return;
    }
    room_ -= bytes, bytes_ += bytes;
    kept_[size_t(index)] = std::move(made);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const Made>> kept_;
  int64_t room_, bytes_ = 0;
};

}  // namespace graft
