// What the programs of seeded.sh share: the order that their argument names, and comparisons.
#pragma once
#include <cmath>
#include <cstdio>
#include <cstring>

#include "tests/cusim/cusim.h"
#include "tests/cusim/guarded.h"

namespace cusim {

inline void take_order(int count, char** arguments) {  // forward, reverse or random
  const char* order = count > 1 ? arguments[1] : "forward";
  config.order = !std::strcmp(order, "reverse")  ? Order::reverse
                 : !std::strcmp(order, "random") ? Order::random
                                                 : Order::forward;
}

// Whether every element is want(index), or differs by at most `bound` times 1 + |want|; NaN is
// equal to NaN. And whether nothing was written beside them. Else says what is wrong.
template <class T, class Want>
bool same(const char* name, const Guarded<T>& found, const Want& want, double bound = 0) {
  for (size_t i = 0; i < found.size(); ++i) {
    const double here = double(found[i]), expected = double(want(i));
    if (here == expected || std::fabs(here - expected) <= bound * (1 + std::fabs(expected)) ||
        (std::isnan(here) && std::isnan(expected)))
      continue;
    std::printf("FAIL %s, element %zu: %.9g, expected %.9g\n", name, i, here, expected);
    return false;
  }
  if (!found.intact()) std::printf("FAIL %s: written beside it\n", name);
  return found.intact();
}

}  // namespace cusim
