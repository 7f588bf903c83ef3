// A flag that a kernel is told, as a constant of the code that depends on it. Not yet run on a GPU.
#pragma once
#include <type_traits>

#include "kernels/cuda/launch.cuh"

namespace graft::cuda {

template <class Body>
__device__ inline void with_flag(bool flag, const Body& body) {
  if (flag)
    body(std::true_type{});
  else
    body(std::false_type{});
}

}  // namespace graft::cuda
