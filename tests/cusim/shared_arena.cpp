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

constexpr size_t kBehind = 4096;  // bytes after each arena that an overrun may hit
struct Arena {
  alignas(1024) unsigned char bytes[kMostShared + kBehind];
} arenas[kMostBlocks];
size_t lent;
unsigned lent_blocks;

unsigned char* mine() { return arenas[rank()].bytes; }

// Overruns are also seen without the address sanitizer, when the block ends.
constexpr unsigned char kNaN = 0xff, kUntouched = 0xa5;
size_t watched() { return lent + kBehind; }

}  // namespace

void lend_shared(size_t bytes, unsigned blocks) {
  lent = bytes;
  lent_blocks = blocks;
  for (unsigned r = 0; r < blocks; ++r) {
    unsigned char* arena = arenas[r].bytes;
    std::memset(arena, kNaN, bytes);
    std::memset(arena + bytes, kUntouched, kBehind);
    ASAN_POISON_MEMORY_REGION(arena + bytes, sizeof(Arena) - bytes);
  }
}

void take_shared_back() {
  ASAN_UNPOISON_MEMORY_REGION(arenas, sizeof arenas);
  for (unsigned r = 0; r < lent_blocks; ++r)
    for (size_t i = lent; i < watched(); ++i)
      if (arenas[r].bytes[i] != kUntouched)
        fail("wrote at byte %zu of shared memory, the block has %zu", i, lent);
}

void* shared_memory(size_t wanted) {
  if (wanted > lent)
    fail("the kernel uses %zu bytes of shared memory, its launch asked for %zu", wanted, lent);
  return mine();
}

bool is_shared(const void* p, size_t bytes, unsigned of) {
  const unsigned char *at = static_cast<const unsigned char*>(p), *arena = arenas[of].bytes;
  return at >= arena && at + bytes <= arena + lent;
}

bool is_any_shared(const void* p) { return p >= arenas && p < arenas + kMostBlocks; }

uint32_t shared_offset(const void* p) {
  return uint32_t(static_cast<const unsigned char*>(p) - mine());
}
void* shared_at(uint32_t offset) { return mine() + offset; }
void* in_block(void* shared, unsigned rank) { return arenas[rank].bytes + shared_offset(shared); }

}  // namespace cusim
