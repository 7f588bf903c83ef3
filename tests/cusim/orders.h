// The orders that every kernel is tested in, or the one that GRAFT_ORDER names. The seed of the random
// one changes from run to run of the suite and is printed where a test fails; GRAFT_SEED sets it.
#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/cusim/cusim.h"

namespace cusim {

inline uint64_t suite_seed() {
  static const uint64_t seed = [] {
    const char* given = std::getenv("GRAFT_SEED");
    return given ? std::strtoull(given, nullptr, 10) : uint64_t(std::time(nullptr));
  }();
  return seed;
}

struct NamedOrder {
  Order order;
  std::string name;
};

inline std::vector<NamedOrder> orders() {
  const std::vector<NamedOrder> all = {
      {Order::forward, "forward"}, {Order::reverse, "reverse"}, {Order::random, "random"}};
  const char* wanted = std::getenv("GRAFT_ORDER");
  if (!wanted) return all;
  for (const NamedOrder& order : all)
    if (order.name == wanted) return {order};
  throw std::runtime_error(std::string("GRAFT_ORDER=") + wanted + ": no such order");
}

// Calls body() in each order, with the order's name in the trace of what fails.
template <class Body>
void in_every_order(const Body& body) {
  for (const auto& [order, name] : orders()) {
    SCOPED_TRACE(name + ", GRAFT_SEED=" + std::to_string(suite_seed()));
    config.order = order;
    config.seed = suite_seed();
    body();
    if (::testing::Test::HasFatalFailure()) return;
  }
  config = {};
}

}  // namespace cusim
