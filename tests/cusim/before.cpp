#include "tests/cusim/before.h"

#include <algorithm>

namespace cusim::before {
namespace {

Seen seen[kActors];

void merge(Times& into, const Times& from) {
  for (unsigned i = 0; i < kActors; ++i) into[i] = std::max(into[i], from[i]);
}
void merge(Seen& into, const Seen& from) {
  merge(into.all, from.all);
  merge(into.async, from.async);
}

void go_on(unsigned actor) { seen[actor].async[actor] = ++seen[actor].all[actor]; }

}  // namespace

uint32_t now(unsigned actor) { return seen[actor].all[actor]; }

void release(unsigned actor, Seen& barrier) {
  merge(barrier, seen[actor]);
  go_on(actor);  // what comes now has not been released
}

void release_async(unsigned actor, Seen& barrier) {
  merge(barrier.async, seen[actor].async);
  go_on(actor);
}

void acquire(unsigned actor, const Seen& barrier) { merge(seen[actor], barrier); }

bool has_seen(unsigned actor, unsigned other, uint32_t when) {
  return seen[actor].all[other] >= when;
}
bool has_seen_async(unsigned actor, unsigned other, uint32_t when) {
  return seen[actor].async[other] >= when;
}

void begin_cluster() {
  for (unsigned i = 0; i < kActors; ++i) {
    seen[i] = {};
    go_on(i);
  }
}

void meet(unsigned first_warp, unsigned warps) {
  Seen all = {};
  for (unsigned i = first_warp; i < first_warp + warps; ++i) merge(all, seen[i]);
  for (unsigned i = first_warp; i < first_warp + warps; ++i) {
    seen[i] = all;
    go_on(i);
  }
}

}  // namespace cusim::before
