#include "tests/cusim/mbarrier.h"

#include <algorithm>
#include <deque>

#include "tests/cusim/before.h"
#include "tests/cusim/box_copy.h"
#include "tests/cusim/cluster.h"
#include "tests/cusim/cusim.h"
#include "tests/cusim/shared_arena.h"

namespace cusim {
namespace {

constexpr uint64_t kMark = 0x6d62617272696572;
constexpr int kMost = (1 << 20) - 1;  // arrivals, and bytes under way

struct Barrier {
  uint64_t* place;
  unsigned copies;  // the actor that these are
  int arrivals, pending;
  int64_t bytes = 0;  // announced and not come; below 0 where they come first
  uint32_t phase = 0;
  unsigned maker;                     // the thread that has initialised it
  uint32_t made;                      // when, see before.h
  bool fenced = false;                // after the initialisation
  before::Seen gathered{}, passed{};  // by who has arrived so far; until the latest phase ended
};
std::deque<Barrier> barriers;  // of the cluster

Barrier* find(const uint64_t* place) {
  for (Barrier& b : barriers)
    if (b.place == place) return &b;
  return nullptr;
}

Barrier& known(uint64_t* place, const char* who, unsigned of = rank()) {
  Barrier* b = is_shared(place, sizeof *place, of) ? find(place) : nullptr;
  const void* p = place;
  if (!b) fail("%s: %p is no initialised mbarrier", who, p);
  if (*place != kMark) fail("%s: the mbarrier at %p has been overwritten", who, p);
  if (!before::has_seen(warp(), b->maker / 32, b->made))
    fail("%s: no barrier since thread %u initialised the mbarrier at %p", who, b->maker, p);
  return *b;
}

void end_phase_if_done(Barrier& b) {
  if (b.pending || b.bytes > 0) return;
  if (b.bytes < 0)
    fail("mbarrier at %p: %lld bytes more than were announced", static_cast<void*>(b.place),
         static_cast<long long>(-b.bytes));
  ++b.phase;
  b.pending = b.arrivals;
  b.passed = b.gathered;
}

void arrive(Barrier& b, int bytes, const char* who, bool from_afar = false) {
  b.bytes += bytes;
  if (bytes < 0 || b.bytes > kMost) fail("%s: %d bytes announced", who, bytes);
  --b.pending;  // a phase with no arrival left waits for bytes: nobody else may arrive
  if (b.pending < 0)
    fail("%s: more than %d arrivals in a phase of %p", who, b.arrivals,
         static_cast<void*>(b.place));
  (from_afar ? before::release_async : before::release)(warp(), b.gathered);
  end_phase_if_done(b);
}

struct Wait {
  Barrier* barrier;
  uint32_t parity;
  unsigned warp;
};

bool passes(void* argument) {
  auto* mine = static_cast<Wait*>(argument);
  Barrier& b = *mine->barrier;
  auto over = [&] { return (b.phase & 1) != mine->parity; };
  if (!over()) land_copies(b.place);
  if (!over()) return false;
  before::acquire(mine->warp, b.passed);
  return true;
}

}  // namespace

void barrier_init(uint64_t* place, int arrivals) {
  const void* p = place;
  if (!is_shared(place, sizeof *place) || reinterpret_cast<uintptr_t>(place) % 8)
    fail("mbarrier.init: %p is not aligned, or not the block's shared memory", p);
  if (arrivals < 1 || arrivals > kMost) fail("mbarrier.init: %d arrivals", arrivals);
  if (find(place)) fail("mbarrier.init: %p is initialised twice", p);
  const auto earlier = std::count_if(barriers.begin(), barriers.end(), [](const Barrier& b) {
    return b.maker / kMostThreads == rank();
  });
  if (earlier == before::kBarriers) fail("too many mbarriers for cusim");
  *place = kMark;
  barriers.push_back({.place = place,
                      .copies = before::kCopies + rank() * before::kBarriers + unsigned(earlier),
                      .arrivals = arrivals,
                      .pending = arrivals,
                      .maker = running(),
                      .made = before::now(warp())});
}

void barrier_init_fence() {
  for (Barrier& b : barriers) b.fenced |= b.maker == running();
}

void barrier_arrive(uint64_t* barrier) {
  constexpr const char* kName = "mbarrier.arrive";
  arrive(known(barrier, kName), 0, kName);
}
void barrier_arrive_expect(uint64_t* barrier, int bytes) {
  constexpr const char* kName = "mbarrier.arrive.expect_tx";
  arrive(known(barrier, kName), bytes, kName);
}
void barrier_arrive_in(uint64_t* barrier, unsigned of) {
  constexpr const char* kName = "mbarrier.arrive in the cluster";
  visit_block(of, kName);
  arrive(known(static_cast<uint64_t*>(in_block(barrier, of)), kName, of), 0, kName, of != rank());
}

void barrier_wait(uint64_t* barrier, uint32_t parity, const std::source_location& at) {
  if (parity > 1) fail("mbarrier wait: parity %u", parity);
  Wait mine{&known(barrier, "mbarrier wait"), parity, warp()};
  wait_until(&passes, &mine, at);
}

unsigned copies_of(uint64_t* place, unsigned of) {
  Barrier& b = known(place, "box copy", of);
  if (!b.fenced)
    fail("box copy: no fence since the mbarrier at %p was initialised", static_cast<void*>(place));
  return b.copies;
}

void bytes_have_come(uint64_t* place, int bytes) {
  Barrier& b = *find(place);
  b.bytes -= bytes;
  before::release(b.copies, b.gathered);
  end_phase_if_done(b);
}

void forget_barriers() { barriers.clear(); }

}  // namespace cusim
