#include "tests/cusim/warp.h"

namespace cusim {
namespace {

void count_votes(void* const lanes[32], unsigned mask) {
  unsigned votes = 0;
  for (unsigned l = 0; l < 32; ++l)
    if (mask >> l & 1) votes |= unsigned(static_cast<const Ballot*>(lanes[l])->vote) << l;
  for (unsigned l = 0; l < 32; ++l)
    if (mask >> l & 1) static_cast<Ballot*>(lanes[l])->result = votes;
}

struct Match {
  uint64_t bits;
  unsigned same;
};

void find_matches(void* const lanes[32], unsigned mask) {
  for (unsigned l = 0; l < 32; ++l) {
    if (!(mask >> l & 1)) continue;
    auto* mine = static_cast<Match*>(lanes[l]);
    for (unsigned other = 0; other < 32; ++other)
      if (mask >> other & 1 && static_cast<const Match*>(lanes[other])->bits == mine->bits)
        mine->same |= 1u << other;
  }
}

}  // namespace

unsigned ballot(unsigned mask, bool vote, const char* name, const Where& at) {
  Ballot mine{vote, 0};
  collective(mask, name, &count_votes, &mine, at);
  return mine.result;
}

unsigned match_any(unsigned mask, uint64_t bits, const Where& at) {
  Match mine{bits, 0};
  collective(mask, "__match_any_sync", &find_matches, &mine, at);
  return mine.same;
}

}  // namespace cusim
