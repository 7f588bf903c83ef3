// A CUDA graph: what a stream is given is written down once, and then launched as a whole, with one
// call in place of one for each kernel. What is fixed with it: every address, every shape, every
// argument of a kernel. Between begin_capture() and end_capture(), of this thread and its stream:
// - allocate() gives memory of the graph, which has the same address at every launch and must be
//   released before the end; its values do not outlive a launch. Memory from before may be used;
//   what of it is released goes with the graph.
// - copy() takes device memory and pinned memory, which is read at each launch.
// - What waits, asks an event, or uses another stream throws, and the capture is lost.
// Like runtime.h, on the CUDA runtime (kernels/cuda/graph.cpp) and on the CPU (tests/cusim).
#pragma once
#include "kernels/runtime.h"

namespace graft::cuda {

struct Graph {
  void* handle = nullptr;
};

void begin_capture(Stream stream);  // not of Stream{}
// Throws what the capture was lost for, or that there is no memory for the graph; std::logic_error
// where memory of the graph was not released. The stream captures no more in any case.
Graph end_capture(Stream stream);
void abandon_capture(Stream stream) noexcept;
void launch(const Graph& graph, Stream stream);  // behind the stream's work so far
void destroy(Graph graph) noexcept;  // once its launches are done; null: nothing happens

}  // namespace graft::cuda
