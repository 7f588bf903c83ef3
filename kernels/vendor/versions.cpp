// The versions that NVIDIA's libraries report of themselves when the process has loaded them.
#include "kernels/vendor/versions.h"

#include <cublasLt.h>
#include <cudnn.h>

namespace graft::vendor {

std::string versions() {
  return "cuBLASLt " + std::to_string(cublasLtGetVersion()) + ", cuDNN " +
         std::to_string(cudnnGetVersion());
}

}  // namespace graft::vendor
