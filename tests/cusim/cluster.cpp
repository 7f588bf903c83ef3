#include "tests/cusim/cluster.h"

#include <algorithm>

#include "tests/cusim/before.h"
#include "tests/cusim/cusim.h"
#include "tests/cusim/threads.h"

namespace cusim {
namespace {

struct Meeting {  // at the cluster's barrier
  unsigned arrived = 0, returned = 0;
  uint32_t phase = 0;
  before::Seen gathered{}, passed{};  // by who has arrived so far; until the latest phase ended
};
Meeting meeting;

struct Arrival {
  bool waits = false;  // has arrived, and not yet waited
  uint32_t phase = 0;
};
Arrival arrivals[kMostBlocks * kMostThreads];

unsigned alive[kMostBlocks];  // threads of each block
// When each warp was last in the shared memory of each block.
uint32_t visits[kMostBlocks][before::kCopies];

void end_phase_if_all_are_there() {
  if (meeting.arrived + meeting.returned < blocks * count) return;
  meeting.arrived = 0;
  ++meeting.phase;
  meeting.passed = meeting.gathered;
}

bool passes(void* argument) {
  if (static_cast<const Arrival*>(argument)->phase == meeting.phase) return false;
  before::acquire(warp(), meeting.passed);
  return true;
}

void arrive_for_warp(void* const[32], unsigned lanes) {
  for (unsigned l = 0; l < 32; ++l) {
    if (!(lanes >> l & 1)) continue;
    Arrival& its = arrivals[warp() * 32 + l];
    if (its.waits) fail("barrier.cluster.arrive: twice, and no wait between");
    its = {true, meeting.phase};
    ++meeting.arrived;
  }
  before::release(warp(), meeting.gathered);
  end_phase_if_all_are_there();
}

bool somebody_knows(unsigned block, unsigned visitor, uint32_t when) {
  const unsigned first = block * before::kWarps;
  for (unsigned w = first; w < first + (count + 31) / 32; ++w)
    if (before::has_seen(w, visitor, when)) return true;
  return false;
}

}  // namespace

void begin_cluster() {
  meeting = {};
  for (unsigned b = 0; b < blocks; ++b) {
    alive[b] = count;
    std::fill_n(arrivals + b * kMostThreads, count, Arrival{});
    std::fill(std::begin(visits[b]), std::end(visits[b]), 0u);
  }
}

unsigned cluster_rank() { return rank(); }

void cluster_arrive(const std::source_location& at) {
  collective(~0u >> (32 - lanes_of(warp())), "barrier.cluster.arrive", &arrive_for_warp, nullptr,
             at);
}

void cluster_wait(const std::source_location& at) {
  Arrival& mine = arrivals[running()];
  if (!mine.waits) fail("barrier.cluster.wait: the thread has not arrived");
  wait_until(&passes, &mine, at);
  mine.waits = false;
}

void leave_cluster() {
  if (arrivals[running()].waits) fail("the thread ends between barrier.cluster.arrive and wait");
  --alive[rank()];
  ++meeting.returned;
  end_phase_if_all_are_there();
}

void check_alive(unsigned of, const char* what) {
  if (of >= blocks) fail("%s: block %u of a cluster of %u", what, of, blocks);
  if (!alive[of]) fail("%s: block %u of the cluster has ended", what, of);
}

void visit_block(unsigned of, const char* what) {
  check_alive(of, what);
  if (of != rank()) visits[of][warp()] = before::now(warp());
}

void check_blocks_outlived_visits() {
  for (unsigned of = 0; of < blocks; ++of)
    for (unsigned visitor = 0; visitor < before::kCopies; ++visitor)
      if (const uint32_t when = visits[of][visitor]; when && !somebody_knows(of, visitor, when))
        fail(
            "block %u of the cluster may have ended before warp %u of block %u reached into its "
            "shared memory",
            of, visitor % before::kWarps, visitor / before::kWarps);
}

}  // namespace cusim
