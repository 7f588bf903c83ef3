// The race check of race.h, and the hooks that g++ -fsanitize=thread puts before every load and
// store of a kernel. Linked instead of the thread sanitizer's own library, which knows nothing of
// fibers.
#include "tests/cusim/race.h"

#include <memory>
#include <unordered_map>

#include "tests/cusim/before.h"
#include "tests/cusim/cusim.h"
#include "tests/cusim/shared_arena.h"

namespace cusim::race {
namespace {

struct Touch {  // the latest access of a kind to one byte
  uint32_t kernel = 0, epoch = 0, collective = 0;
  uint32_t block = 0;
  uint32_t when = 0;  // of its warp, see before.h
  uint16_t thread = 0;
  bool many = false;    // threads of several warps have read it since the last barrier
  bool blocks = false;  // several blocks have read it in this kernel
  bool atomic = false;
};
struct Cell {
  Touch written, read;
};

constexpr uintptr_t kPage = 4096;
struct Page {
  Cell cells[kPage];
};

Cell& cell(uintptr_t address) {
  static std::unordered_map<uintptr_t, std::unique_ptr<Page>> pages;
  static uintptr_t last = 0;
  static Page* page = nullptr;
  if (address / kPage != last || !page) {
    auto& slot = pages[last = address / kPage];
    if (!slot) slot = std::make_unique<Page>();
    page = slot.get();
  }
  return page->cells[address % kPage];
}

// Of a thread's block in its cluster; copies come to the block whose mbarrier counts them.
unsigned rank_of(unsigned thread) {
  constexpr unsigned kFirst = before::kCopies * 32, kEach = before::kBarriers * 32;
  return thread < kFirst ? thread / kMostThreads : (thread - kFirst) / kEach;
}
uint32_t block_number(unsigned thread) { return clock.number[rank_of(thread)]; }

// `then` and an access by `thread` now may happen at the same time.
bool unordered(const Touch& then, unsigned thread, bool shared) {
  const bool same_block = then.block == block_number(thread);
  if (then.kernel != clock.kernel) return false;
  if (!shared && (then.blocks || !same_block)) return true;
  if (then.epoch < clock.cluster) return false;  // other blocks had this shared memory
  if (same_block && then.epoch != clock.block[rank_of(thread)]) return false;
  if (then.many) return true;
  if (then.thread == thread) return false;
  if (then.thread / 32 != thread / 32) {
    const bool copied = then.thread / 32 >= before::kCopies;
    return !(copied ? before::has_seen_async : before::has_seen)(thread / 32, then.thread / 32, then.when);
  }
  return then.collective == clock.warp[thread / 32];
}

Touch touch(unsigned thread, Access access) {
  return {.kernel = clock.kernel,
          .epoch = clock.block[rank_of(thread)],
          .collective = clock.warp[thread / 32],
          .block = block_number(thread),
          .when = before::now(thread / 32),
          .thread = uint16_t(thread),
          .atomic = access == Access::atomic};
}

[[noreturn]] void report(const void* p, unsigned thread, Access access, const Touch& then,
                         const char* past) {
  constexpr const char* names[] = {"read", "write", "atomic", "arrival", "read"};
  const char* now = names[int(access)];
  if (then.thread >= before::kCopies * 32)
    fail("race on %p: %s by thread %u, which has not waited for a box copy to there", p, now,
         thread);
  if (then.blocks || then.block != block_number(thread))
    fail("race on %p: %s by thread %u, %s by another block", p, now, thread, past);
  fail("race on %p: %s by thread %u, %s by thread %u with no barrier between", p, now, thread, past,
       unsigned(then.thread));
}

Touch with_earlier_reads(Touch mine, const Touch& earlier) {
  if (earlier.kernel != mine.kernel) return mine;
  mine.blocks = earlier.blocks || earlier.block != mine.block;
  if (earlier.block == mine.block && earlier.epoch == mine.epoch)
    mine.many = earlier.many || earlier.thread / 32 != mine.thread / 32;
  return mine;
}

}  // namespace

void check(unsigned thread, const void* p, size_t bytes, Access access) {
  const bool shared = is_any_shared(p);
  const Touch mine = touch(thread, access);
  for (uintptr_t at = reinterpret_cast<uintptr_t>(p), end = at + bytes; at < end; ++at) {
    Cell& c = cell(at);
    if (access == Access::arrival) {
      c = {.written = mine, .read = {}};
      continue;
    }
    const bool both_atomic = access == Access::atomic && c.written.atomic;
    if (!both_atomic && unordered(c.written, thread, shared))
      report(p, thread, access, c.written, "written");
    if (access == Access::operand) continue;
    if (access == Access::read) {
      c.read = with_earlier_reads(mine, c.read);
    } else {
      if (unordered(c.read, thread, shared)) report(p, thread, access, c.read, "read");
      c = {.written = mine, .read = {}};
    }
  }
}

}  // namespace cusim::race
