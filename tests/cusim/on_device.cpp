// The tests of CUDA kernels on the simulator, in every order of threads.
#include "tests/cuda_array.h"
#include "tests/cusim/orders.h"

namespace graft::cuda {

void on_device(const std::function<void()>& body) { cusim::in_every_order(body); }

}  // namespace graft::cuda
