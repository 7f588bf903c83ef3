// The same as seeded_wgmma.cpp for clusters of two blocks: an odd number of tiles below each other,
// several for each cluster, more steps than stages.
#include "tests/cusim/seeded_wgmma.h"

int main(int count, char** arguments) {
  using graft::cuda::product;
  cusim::take_order(count, arguments);
  const bool good = product<2, true, false>(270, 262, 330) && product<2, false, true>(130, 131, 70);
  if (good) std::puts("PASS");
  return !good;
}
