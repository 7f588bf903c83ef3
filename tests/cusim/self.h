// What the tests of cusim itself share.
#pragma once
#include "kernels/cuda/launch.cuh"

namespace graft::cuda {

template <class... P, class... A>
void run_now(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, A... arguments) {
  launch(kernel, {grid, block, shared}, arguments...);
  synchronize(Stream{});
}

struct Floats {
  float values[256];
};

}  // namespace graft::cuda
