// What copies of kernels/runtime.h are made of, on CUDA (runtime.cpp) and on the simulator
// (tests/cusim/runtime_sim.cpp). Not yet run on a GPU.
#pragma once
#include "kernels/runtime.h"

namespace graft::cuda {

// Neither the device's nor pinned: the copy engine cannot reach it by itself.
bool is_pageable(const void* p);

// cudaMemcpyAsync, of at least a byte: done when the stream comes to it, or before. Within a capture
// throws for pageable memory, which is gone when a graph comes to read or write it.
void start_copy(void* to, const void* from, size_t bytes, Stream stream);

}  // namespace graft::cuda
