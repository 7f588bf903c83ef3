// The simulated device as a program finds it, whatever the tests before have left in its queues.
#pragma once
#include <gtest/gtest.h>

#include "tests/cusim/runtime_sim.h"

namespace graft::cuda::sim {

struct FreshDevice : testing::Test {
  FreshDevice() { reset(); }
  ~FreshDevice() override { reset(); }  // which refuses blocks that were never released
};

}  // namespace graft::cuda::sim
