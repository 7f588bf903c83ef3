// kernels/graph.h on the CPU.
#include "kernels/graph.h"

#include <utility>

#include "tests/cusim/sim_capture.h"

namespace graft::cuda {
namespace {

using Handle = std::shared_ptr<Captured>;  // launches that have not run yet hold it, too

// Takes back the memory of the graph, and what was released while it was captured.
void give_back(const Captured& graph) {
  drain_all();  // of what uses it
  for (void* block : graph.blocks) remove_block(device().memory, block, "graph");
  for (void* block : graph.kept) device().live -= remove_block(device().memory, block, "release");
}

std::unique_ptr<Capture> finish(Stream stream) {
  if (!capturing || capturing->queue != &queue(stream))
    cusim::fail("end of a capture that was not begun in this stream and thread");
  return std::exchange(capturing, nullptr);
}

void reserve(const Captured& graph) {
  Device& d = device();
  if (d.live + graph.most > d.faults.budget) drain_all();
  if (d.live + graph.most > d.faults.budget)
    throw OutOfMemory(
        "out of device memory for a graph of " + std::to_string(graph.most) + " bytes", graph.most);
  d.live += graph.most;
  d.peak = std::max(d.peak, d.live);
}

}  // namespace

void begin_capture(Stream stream) {
  sim::begin_call("cudaStreamBeginCapture");
  Lock lock(device().mutex);
  if (!stream.handle)
    throw DeviceError("the default stream cannot be captured", kCaptureUnsupported, false);
  if (capturing) cusim::fail("a thread begins a second capture");
  capturing.reset(new Capture{&queue(stream)});
}

Graph end_capture(Stream stream) {
  Lock lock(device().mutex);
  const std::unique_ptr<Capture> capture = finish(stream);
  try {
    sim::begin_call("cudaStreamEndCapture");
    if (!capture->lost.empty()) throw DeviceError(capture->lost, kCaptureInvalidated, false);
    if (!capture->live.empty()) throw std::logic_error("memory of a graph outlives its capture");
    sim::begin_call("cudaGraphInstantiate");
    reserve(*capture->graph);
  } catch (...) {
    give_back(*capture->graph);
    throw;
  }
  return {new Handle(capture->graph)};
}

void abandon_capture(Stream stream) noexcept {
  Lock lock(device().mutex);
  give_back(*finish(stream)->graph);
}

void launch(const Graph& graph, Stream stream) {
  sim::begin_call("cudaGraphLaunch");
  sim::enqueue(stream, [captured = *static_cast<Handle*>(graph.handle)] {
    for (const auto& work : captured->work) work();
  });
}

void destroy(Graph graph) noexcept {
  if (!graph.handle) return;
  Lock lock(device().mutex);
  const std::unique_ptr<Handle> handle(static_cast<Handle*>(graph.handle));
  give_back(**handle);
  device().live -= (*handle)->most;
}

}  // namespace graft::cuda
