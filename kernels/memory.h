// Host memory for tensors: 64-byte aligned blocks from a pool that keeps freed blocks for reuse,
// because fresh pages cost more than the kernels that fill them. Thread-safe. Under sanitizers the
// pool keeps nothing, so that use after free is seen.
#pragma once
#include <cstddef>

namespace graft::cpu {

void* allocate(size_t bytes);              // uninitialised; throws std::bad_alloc
void release(void* block, size_t bytes) noexcept;  // bytes as given to allocate
// To the system, not to the pool: for what is not soon needed again.
void give_back(void* block, size_t bytes) noexcept;
void release_cached() noexcept;            // returns every kept block to the system

struct MemoryUse {
  size_t live;    // bytes handed out now
  size_t peak;    // most bytes handed out at one time since the last reset_peak()
  size_t cached;  // bytes kept for reuse
};
MemoryUse memory_use() noexcept;
void reset_peak() noexcept;

}  // namespace graft::cpu
