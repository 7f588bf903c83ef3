// A capture on the simulated device: the work of a stream, written down. As strict as CUDA, and
// more so: what a launch would read or write when it is gone, or leave out, loses the capture.
#pragma once
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/cusim/sim_device.h"

namespace graft::cuda {

constexpr int kCaptureUnsupported = 900, kCaptureInvalidated = 901;  // of cudaError_t

struct Captured {  // a graph
  std::vector<std::function<void()>> work;
  std::vector<void*> blocks;  // its memory: at the same addresses in each launch, NaN at first
  std::vector<void*> kept;    // from before the capture, released in it
  size_t most = 0;            // bytes of its memory that are in use at one time
};

struct Capture {
  Queue* queue;
  std::shared_ptr<Captured> graph = std::make_shared<Captured>();
  std::set<void*> live;  // of the graph's blocks
  size_t bytes = 0;      // of those
  std::string lost;      // why; empty: it is not

  void* allocate(size_t size) {
    void* block = add_block(device().memory, size);
    graph->blocks.push_back(block);
    live.insert(block);
    graph->most = std::max(graph->most, bytes += size);
    graph->work.push_back([=] { std::memset(block, 0xff, size); });
    return block;
  }

  void release(void* block) {  // whoever reads it after that meets NaN
    if (!live.erase(block)) return graph->kept.push_back(block);
    const size_t size = device().memory.at(static_cast<char*>(block))->size();
    bytes -= size;
    graph->work.push_back([=] { std::memset(block, 0xff, size); });
  }
};

inline thread_local std::unique_ptr<Capture> capturing;  // of this thread; null: none

[[noreturn]] inline void lose_capture(const std::string& what) {
  capturing->lost = what + " while a stream is captured";
  throw DeviceError(capturing->lost, kCaptureUnsupported, false);
}

inline void not_while_capturing(const char* what) {
  if (capturing) lose_capture(what);
}

}  // namespace graft::cuda
