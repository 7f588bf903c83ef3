// What the driver of the simulated device says (kernels/driver.h).
#pragma once
#include <string>

namespace graft::cuda::sim {

// "11.4": that it is of this CUDA and too old; "no kernel image": that graft was compiled for other
// devices; other words: how it fails; empty: that all is well. Where it is too old or fails there is no
// device. A program starts with what GRAFT_SIM_DRIVER holds.
void inject_driver(const std::string& says);
bool driver_works();

}  // namespace graft::cuda::sim
