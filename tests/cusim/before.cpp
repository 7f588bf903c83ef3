#include "tests/cusim/before.h"

#include <algorithm>

namespace cusim::before {
namespace {

Seen seen[kActors];

void merge(Seen& into, const Seen& from) {
  for (unsigned i = 0; i < kActors; ++i) into[i] = std::max(into[i], from[i]);
}

}  // namespace

uint32_t now(unsigned actor) { return seen[actor][actor]; }

void release(unsigned actor, Seen& barrier) {
  merge(barrier, seen[actor]);
  ++seen[actor][actor];  // what comes now has not been released
}

void acquire(unsigned actor, const Seen& barrier) { merge(seen[actor], barrier); }

bool has_seen(unsigned actor, unsigned other, uint32_t when) { return seen[actor][other] >= when; }

void begin_cluster() {
  for (unsigned i = 0; i < kActors; ++i) {
    seen[i] = {};
    seen[i][i] = 1;
  }
}

void meet(unsigned first_warp, unsigned warps) {
  Seen all = {};
  for (unsigned i = first_warp; i < first_warp + warps; ++i) merge(all, seen[i]);
  for (unsigned i = first_warp; i < first_warp + warps; ++i) {
    seen[i] = all;
    ++seen[i][i];
  }
}

}  // namespace cusim::before
