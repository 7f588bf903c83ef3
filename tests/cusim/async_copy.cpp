#include "tests/cusim/async_copy.h"

#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "tests/cusim/cusim.h"
#include "tests/cusim/race.h"

namespace cusim {
namespace {

struct Copy {
  void* to;
  const void* from;
  int bytes, valid;
};
using Group = std::vector<Copy>;

struct Copies {  // of one thread
  Group open;
  std::deque<Group> committed;
};
Copies copies[kMostBlocks * kMostThreads];

void finish(const Group& group) {
  for (const Copy& c : group) {
    race::note(running(), c.to, size_t(c.bytes), race::Access::write);
    if (c.valid) {
      race::note(running(), c.from, size_t(c.valid), race::Access::read);
      std::memcpy(c.to, c.from, size_t(c.valid));
    }
    std::memset(static_cast<char*>(c.to) + c.valid, 0, size_t(c.bytes - c.valid));
  }
}

bool misaligned(const void* p, int bytes) {
  return reinterpret_cast<uintptr_t>(p) % unsigned(bytes);
}

}  // namespace

void start_copy(void* to, const void* from, int bytes, int valid) {
  if (misaligned(to, bytes) || misaligned(from, bytes))
    fail("cp.async of %d bytes from %p to %p: misaligned", bytes, from, to);
  if (valid < 0 || valid > bytes) fail("cp.async of %d bytes, of which %d are valid", bytes, valid);
  if (!is_shared(to, size_t(bytes)))
    fail("cp.async to %p, which is not the block's shared memory", to);
  race::note(running(), to, size_t(bytes), race::Access::write);
  std::memset(to, 0xff, size_t(bytes));
  copies[running()].open.push_back({to, from, bytes, valid});
}

void commit_copies() {
  Copies& mine = copies[running()];
  if (!config.late_copies) finish(mine.open), mine.open.clear();
  mine.committed.push_back(std::move(mine.open));
  mine.open.clear();
}

void wait_copies(int groups_left) {
  Copies& mine = copies[running()];
  for (; mine.committed.size() > size_t(groups_left); mine.committed.pop_front())
    finish(mine.committed.front());
}

void forget_copies(unsigned thread) { copies[thread] = {}; }

void check_no_copy_in_flight(unsigned thread) {
  bool any = !copies[thread].open.empty();
  for (const Group& group : copies[thread].committed) any |= !group.empty();
  if (any) fail("the thread ends with a cp.async in flight");
}

}  // namespace cusim
