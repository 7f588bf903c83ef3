// What the CUDA driver says where it gives no device. Implemented beside kernels/runtime.h.
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

}  // namespace graft::cuda
