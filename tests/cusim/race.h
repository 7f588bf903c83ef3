// Finds races without a schedule: two accesses to a byte by different threads of a block, one of
// them a write, must have a barrier between them, or, within a warp, a collective; and what one
// block writes no other block of the same kernel may touch, but for atomics. It does not matter
// in which order cusim ran them. Only the race build links race.cpp; elsewhere this costs a test.
// mbarriers and barriers of a cluster order accesses, too (before.h), but for this: what threads of
// several warps have read themselves may be overwritten after a block barrier only.
#pragma once
#include <cstdint>

#include "tests/cusim/before.h"
#include "tests/cusim/cusim.h"

namespace cusim::race {

struct Clock {                          // advanced by the scheduler
  uint32_t kernel = 0;                  // launches so far
  uint32_t epoch = 0;                   // clusters and block barriers so far
  uint32_t cluster = 0;                 // the epoch in which the running one began
  uint32_t block[kMostBlocks] = {};     // the latest epoch of each of its blocks
  uint32_t number[kMostBlocks] = {};    // of each block in the grid
  uint32_t warp[before::kActors] = {};  // collectives of each warp so far

  void next_epoch(unsigned rank) { block[rank] = ++epoch; }
  void next_cluster() {
    cluster = ++epoch;
    for (uint32_t& b : block) b = epoch;
  }
};
extern Clock clock;

enum class Access : uint8_t {
  read,
  write,
  atomic,
  arrival,  // a box copy's bytes come; their place was written when it began
  operand,  // read by a wgmma: spans.h says when it may be overwritten
};

__attribute__((weak)) void check(unsigned thread, const void* p, size_t bytes, Access access);

// What the compiler's instrumentation does not see: cusim's own reads and writes for the kernel.
inline void note(unsigned thread, const void* p, size_t bytes, Access access) {
  if (check) check(thread, p, bytes, access);
}

}  // namespace cusim::race
