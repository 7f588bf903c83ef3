#include "tests/cusim/shared_arena.h"

#include <cstring>

#include "tests/cusim/cusim.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, size) ((void)(p), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(p, size) ((void)(p), (void)(size))
#endif

namespace cusim {
namespace {

constexpr size_t kBehind = 4096;  // bytes after the arena that an overrun may hit
alignas(1024) unsigned char arena[kMostShared + kBehind];
size_t lent;

// Overruns are also seen without the address sanitizer, when the block ends.
constexpr unsigned char kNaN = 0xff, kUntouched = 0xa5;
size_t watched() { return lent + kBehind; }

}  // namespace

void lend_shared(size_t bytes) {
  lent = bytes;
  std::memset(arena, kNaN, bytes);
  std::memset(arena + bytes, kUntouched, kBehind);
  ASAN_POISON_MEMORY_REGION(arena + bytes, sizeof arena - bytes);
}

void take_shared_back() {
  ASAN_UNPOISON_MEMORY_REGION(arena, sizeof arena);
  for (size_t i = lent; i < watched(); ++i)
    if (arena[i] != kUntouched)
      fail("wrote at byte %zu of shared memory, the block has %zu", i, lent);
}

void* shared_memory(size_t wanted) {
  if (wanted > lent)
    fail("the kernel uses %zu bytes of shared memory, its launch asked for %zu", wanted, lent);
  return arena;
}

bool is_shared(const void* p, size_t bytes) {
  auto at = static_cast<const unsigned char*>(p);
  return at >= arena && at + bytes <= arena + lent;
}

uint32_t shared_offset(const void* p) {
  return uint32_t(static_cast<const unsigned char*>(p) - arena);
}
void* shared_at(uint32_t offset) { return arena + offset; }

}  // namespace cusim
