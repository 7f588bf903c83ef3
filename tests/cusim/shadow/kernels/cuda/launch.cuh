// Stands before kernels/cuda/launch.cuh in the include path: the same names, on the CPU.
#pragma once
#include <tuple>

#include "kernels/runtime.h"
#include "tests/cusim/device.h"
#include "tests/cusim/runtime_sim.h"

#define GRAFT_SHARED(T, name) T& name = *static_cast<T*>(cusim::shared_memory(sizeof(T)))

namespace graft::cuda {

struct Launch {
  dim3 grid, block;
  size_t shared = 0;  // bytes
  Stream stream{};
  unsigned cluster = 1;  // blocks, neighbours along x, that reach each other's shared memory
};

// Arguments are copied now; the kernel runs when its stream's turn comes.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const Launch& how, Arguments&&... arguments) {
  const cusim::Shape shape{how.grid, how.block, how.shared, how.cluster};
  cusim::check_launch(shape);
  sim::begin_call("launch");
  sim::enqueue(
      how.stream,
      [kernel, shape, given = std::tuple<Parameters...>(std::forward<Arguments>(arguments)...)] {
        cusim::run(shape, [&] { std::apply(kernel, given); });
      });
}

}  // namespace graft::cuda
