// For tests of the engine on a CUDA device: a real one, or the simulated one of builds with
// GRAFT_CUDA=SIM. Where there is none they are skipped.
#pragma once
#include <gtest/gtest.h>

#include "core/device.h"
#include "core/tensor.h"

namespace graft::tests {

class DeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string why = why_no_cuda(); !why.empty()) GTEST_SKIP() << why;
  }
};

}  // namespace graft::tests
