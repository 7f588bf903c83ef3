// What the programs of seeded.sh share: the order that their argument names.
#pragma once
#include <cstring>

#include "tests/cusim/cusim.h"

namespace cusim {

inline void take_order(int count, char** arguments) {  // forward, reverse or random
  const char* order = count > 1 ? arguments[1] : "forward";
  config.order = !std::strcmp(order, "reverse")  ? Order::reverse
                 : !std::strcmp(order, "random") ? Order::random
                                                 : Order::forward;
}

}  // namespace cusim
