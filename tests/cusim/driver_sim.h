// What the driver of the simulated device says (kernels/driver.h).
#pragma once
#include <string>

namespace graft::cuda::sim {

// "11.4": that it is of this CUDA and too old; other words: how it fails; empty: that all is well.
// In the first two cases there is no device. A program starts with what GRAFT_SIM_DRIVER holds.
void inject_driver(const std::string& says);
bool driver_works();

}  // namespace graft::cuda::sim
