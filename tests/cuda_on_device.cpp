// The tests of CUDA kernels on a GPU.
#include "tests/cuda_array.h"

namespace graft::cuda {

void on_device(const std::function<void()>& body) {
  if (device_count() == 0) GTEST_SKIP() << "no CUDA device";
  body();
}

}  // namespace graft::cuda
