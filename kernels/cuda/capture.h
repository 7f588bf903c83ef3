// The capture that a thread is in the middle of: which memory is the graph's. For graph.cpp, and
// for runtime.cpp, which hands out memory. Not yet run on a GPU.
#pragma once
#include <set>
#include <vector>

namespace graft::cuda {

struct Capture {
  std::set<void*> blocks;   // of the graph, not released yet
  std::vector<void*> kept;  // from before, released meanwhile: launches may still read them
};

inline thread_local Capture* capturing = nullptr;

}  // namespace graft::cuda
