// Block barriers, and what it looks like when nobody can go on.
#include "tests/cusim/before.h"
#include "tests/cusim/race.h"
#include "tests/cusim/threads.h"

namespace cusim {
namespace {

void release_barrier(unsigned first) {  // thread of the block
  int sum = 0;
  for (unsigned i = first; i < first + count; ++i) sum += threads[i]->value;
  for (unsigned i = first; i < first + count; ++i) {
    threads[i]->value = sum;
    threads[i]->state = State::ready;
  }
  ++stats.barriers;
  race::clock.next_epoch(first / kMostThreads);
  before::meet(first / 32, (count + 31) / 32);
}

struct Census {  // of a block's threads, or a cluster's
  unsigned done = 0, waiting = 0, polling = 0;
};

// After every warp has gone as far as it can.
void pass_barrier(unsigned first, Census& of_cluster) {
  Census here;
  const Thread* waits = nullptr;
  for (unsigned i = first; i < first + count; ++i) {
    const Thread& t = *threads[i];
    here.done += t.state == State::done;
    here.polling += t.state == State::polling;
    if (t.state != State::at_barrier) continue;
    ++here.waiting;
    if (!waits) waits = &t;
    be(i);
    if (!same_place(t.at, waits->at))
      fail("divergent barriers: thread (%u,%u,%u) at %s:%u, this one at %s:%u", waits->index.x,
           waits->index.y, waits->index.z, waits->at.file_name(), waits->at.line(),
           t.at.file_name(), t.at.line());
  }
  if (here.waiting && here.waiting != count && here.waiting + here.done == count)
    fail("barrier at %s:%u after %u of %u threads have returned", waits->at.file_name(),
         waits->at.line(), here.done, count);
  of_cluster.done += here.done;
  of_cluster.polling += here.polling;
  if (here.waiting == count)
    release_barrier(first);
  else
    of_cluster.waiting += here.waiting;
}

}  // namespace

bool pass_barriers(bool ran) {
  const uint64_t passed = stats.barriers;
  Census all;
  for (unsigned b = 0; b < blocks; ++b) pass_barrier(b * kMostThreads, all);
  const unsigned everybody = blocks * count;
  if (!ran && all.done < everybody && stats.barriers == passed)
    fail(
        "deadlock: of %u threads %u are at a barrier, %u have returned, %u wait at an mbarrier%s, "
        "%u in a collective",
        everybody, all.waiting, all.done, all.polling, blocks > 1 ? " or for their cluster" : "",
        everybody - all.waiting - all.done - all.polling);
  return all.done == everybody;
}

}  // namespace cusim
