#include "tests/cusim/named_barrier.h"

#include "tests/cusim/before.h"
#include "tests/cusim/cluster.h"
#include "tests/cusim/cusim.h"
#include "tests/cusim/race.h"

namespace cusim {
namespace {

constexpr int kIds = 16;  // of a block; 0 is that of __syncthreads

struct Named {
  int expected = 0, arrived = 0;  // threads; 0: nobody has come in this phase
  uint32_t phase = 0;
  uint32_t warps = 0;                     // that have come
  before::Seen gathered{}, passed{};      // by who has arrived so far; until the latest phase ended
};
Named named[kMostBlocks][kIds];

struct Wait {
  Named* barrier;
  uint32_t phase;
};

bool passes(void* argument) {
  const auto* mine = static_cast<const Wait*>(argument);
  if (mine->phase == mine->barrier->phase) return false;
  before::acquire(warp(), mine->barrier->passed);
  return true;
}

void end_phase(Named& b) {
  b.passed = b.gathered;
  b.arrived = b.expected = 0;
  b.warps = 0;
  ++b.phase;
}

void arrive(void* const arguments[32], unsigned lanes) {
  if (lanes != 0xffffffffu) fail("bar.sync by lanes %08x: a warp comes as a whole", lanes);
  const auto* mine = static_cast<const Wait*>(arguments[0]);
  Named& b = *mine->barrier;
  const unsigned here = warp() % before::kWarps;
  if (b.warps >> here & 1) fail("bar.sync: warp %u comes twice", here);
  b.warps |= 1u << here;
  b.arrived += 32;
  before::release(warp(), b.gathered);
  if (b.arrived == b.expected) end_phase(b);
}

}  // namespace

void barrier_sync(int id, int threads, const std::source_location& at) {
  if (id < 1 || id >= kIds) fail("bar.sync by id %d", id);
  if (threads < 32 || threads % 32) fail("bar.sync for %d threads: whole warps", threads);
  Named& b = named[rank()][id];
  if (b.arrived && b.expected != threads)
    fail("bar.sync %d for %d threads, and others say %d", id, threads, b.expected);
  b.expected = threads;
  Wait mine{&b, b.phase};
  collective(0xffffffffu, "bar.sync", &arrive, &mine, at);
  wait_until(&passes, &mine, at);
}

void forget_named_barriers() {
  for (auto& block : named)
    for (Named& b : block) b = {};
}

void check_nobody_waits_by_name() {
  for (auto& block : named)
    for (const Named& b : block)
      if (b.arrived) fail("the block ends with %d threads at a bar.sync for %d", b.arrived, b.expected);
}

}  // namespace cusim
