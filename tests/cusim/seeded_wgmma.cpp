// The smallest program that runs a matrix product with wgmma, for seeded.sh: several tiles a block,
// more steps than stages. Argument: forward, reverse or random. Prints PASS, or what is wrong.
#include "tests/cusim/seeded_wgmma.h"

int main(int count, char** arguments) {
  using graft::cuda::product;
  cusim::take_order(count, arguments);
  const bool good = product<1, true, false>(130, 262, 500) && product<1, false, true>(130, 131, 70);
  if (good) std::puts("PASS");
  return !good;
}
