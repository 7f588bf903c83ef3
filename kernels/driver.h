// What the CUDA driver says where it gives no device, and what graft brings for it. Implemented beside
// kernels/runtime.h.
#pragma once
#include <string>

namespace graft::cuda {

struct DriverAnswer {
  bool too_old = false;  // for the CUDA that graft was built with
  int driver = 0;        // the CUDA it is of, 1000 major + 10 minor; 0: there is none
  int built_with = 0;    // likewise
  std::string failure;   // what else it answered; empty where it works or is not there
};
DriverAnswer ask_driver() noexcept;

constexpr int kNoKernelImage = 209;  // DeviceError::code where kernels were compiled for other devices
void require_code();  // throws DeviceError where the calling thread's device runs none of our kernels

// 16 hex digits, of the sources of our CUDA kernels, their compiler and what it compiled them for:
// another hash, other kernels. "simulated" without a GPU.
const char* hash_of_kernels() noexcept;

}  // namespace graft::cuda
