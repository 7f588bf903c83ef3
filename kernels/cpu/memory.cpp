#include "kernels/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>

namespace graft::cpu {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kKeep = false;
#else
constexpr bool kKeep = true;
#endif
constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t(2) << 20;

// Sizes are rounded so that nearly equal requests share blocks: to 1/8 of the power of two below.
size_t rounded(size_t bytes) {
  bytes = std::max<size_t>(bytes, kAlignment);
  size_t step = std::max<size_t>(std::bit_floor(bytes) / 8, kAlignment);
  return (bytes + step - 1) / step * step;
}

// Large blocks are mapped by themselves: malloc would keep them, in pieces, after they are freed.
bool mapped(size_t size) { return kKeep && size >= kHugePage; }

void* from_system(size_t size) {
  if (!mapped(size)) return std::aligned_alloc(kAlignment, size);
  void* block = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return nullptr;
  madvise(block, size, MADV_HUGEPAGE);
  return block;
}

void to_system(void* block, size_t size) {
  if (mapped(size)) munmap(block, size);
  else std::free(block);
}

class Pool {
 public:
  void* take(size_t size) {
    std::lock_guard lock(mutex_);
    use_.live += size;
    use_.peak = std::max(use_.peak, use_.live);
    auto kept = kept_.find(size);
    if (kept == kept_.end()) return nullptr;
    void* block = kept->second;
    kept_.erase(kept);
    use_.cached -= size;
    return block;
  }

  bool keep(void* block, size_t size) {
    std::lock_guard lock(mutex_);
    use_.live -= size;
    // Never keep more than was once needed at the same time: a bound without a knob.
    if (!kKeep || use_.live + use_.cached + size > use_.peak) return false;
    kept_.emplace(size, block);
    use_.cached += size;
    return true;
  }

  void give_up(size_t size) {
    std::lock_guard lock(mutex_);
    use_.live -= size;
  }

  void clear() {
    std::lock_guard lock(mutex_);
    for (auto& [size, block] : kept_) to_system(block, size);
    kept_.clear();
    use_.cached = 0;
  }

  MemoryUse use() {
    std::lock_guard lock(mutex_);
    return use_;
  }

  void reset_peak() {
    std::lock_guard lock(mutex_);
    use_.peak = use_.live;
  }

 private:
  std::mutex mutex_;
  std::multimap<size_t, void*> kept_;
  MemoryUse use_{};
};

Pool& pool() {  // never destroyed: tensors in static storage may outlive it
  static Pool* pool = new Pool;
  return *pool;
}

}  // namespace

void* allocate(size_t bytes) {
  size_t size = rounded(bytes);
  if (void* block = pool().take(size)) return block;
  void* block = size < bytes ? nullptr : from_system(size);
  if (!block && size >= bytes) {
    pool().clear();
    block = from_system(size);
  }
  if (!block) {
    pool().give_up(size);
    throw std::bad_alloc();
  }
  return block;
}

void release(void* block, size_t bytes) noexcept {
  size_t size = rounded(bytes);
  if (block && !pool().keep(block, size)) to_system(block, size);
}

void release_cached() noexcept { pool().clear(); }
MemoryUse memory_use() noexcept { return pool().use(); }
void reset_peak() noexcept { pool().reset_peak(); }

}  // namespace graft::cpu
