// The orders that every kernel is tested in. The seed of the random one changes from run to run of
// the suite and is printed where a test fails; GRAFT_SEED sets it.
#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <string>

#include "tests/cusim/cusim.h"

namespace cusim {

inline uint64_t suite_seed() {
  static const uint64_t seed = [] {
    const char* given = std::getenv("GRAFT_SEED");
    return given ? std::strtoull(given, nullptr, 10) : uint64_t(std::time(nullptr));
  }();
  return seed;
}

inline std::string name_of(Order order) {
  switch (order) {
    case Order::forward:
      return "forward";
    case Order::reverse:
      return "reverse";
    case Order::random:
      return "random, GRAFT_SEED=" + std::to_string(suite_seed());
  }
  return "?";
}

// Calls body() in each order, with the order's name in the trace of what fails.
template <class Body>
void in_every_order(const Body& body) {
  for (Order order : {Order::forward, Order::reverse, Order::random}) {
    SCOPED_TRACE(name_of(order));
    config.order = order;
    config.seed = suite_seed();
    body();
    if (::testing::Test::HasFatalFailure()) return;
  }
  config = {};
}

}  // namespace cusim
