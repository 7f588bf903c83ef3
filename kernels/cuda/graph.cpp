// kernels/graph.h on the CUDA runtime. Memory that is allocated and freed within a capture becomes
// nodes of the graph: the driver lays it out once, and what has been freed serves what comes later.
// Not yet run on a GPU.
#include "kernels/graph.h"

#include <memory>
#include <utility>

#include "kernels/cuda/capture.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/gemm_plan.h"

namespace graft::cuda {
namespace {

cudaStream_t raw(Stream stream) { return static_cast<cudaStream_t>(stream.handle); }

struct Captured {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t launched = nullptr;
  std::vector<void*> kept;
  size_t left = 0;  // blocks of its memory that were not released

  ~Captured() {
    if (launched) cudaGraphExecDestroy(launched);
    if (graph) cudaGraphDestroy(graph);
    for (void* block : kept) cudaFreeAsync(block, nullptr);
    int device = 0;
    if (cudaGetDevice(&device) == cudaSuccess) cudaDeviceGraphMemTrim(device);
    cudaGetLastError();
  }
};

// The stream captures no more. -> what it wrote down, with memory that may not go before it.
std::unique_ptr<Captured> finish(Stream stream, cudaError_t& error) {
  auto captured = std::make_unique<Captured>();
  error = cudaStreamEndCapture(raw(stream), &captured->graph);
  const std::unique_ptr<Capture> capture(std::exchange(capturing, nullptr));
  captured->kept = std::move(capture->kept);
  captured->left = capture->blocks.size();
  return captured;
}

// With its memory, so that what there is none for is refused here and not at a launch.
cudaError_t instantiate(Captured& captured, Stream stream) {
  const cudaError_t error = cudaGraphInstantiateWithFlags(&captured.launched, captured.graph, 0);
  return error == cudaSuccess ? cudaGraphUpload(captured.launched, raw(stream)) : error;
}

}  // namespace

void begin_capture(Stream stream) {
  wgmma_works();  // asked for the first time it would wait, as nothing may that is captured
  check(cudaStreamBeginCapture(raw(stream), cudaStreamCaptureModeThreadLocal),
        "cudaStreamBeginCapture");
  capturing = new Capture;
}

Graph end_capture(Stream stream) {
  cudaError_t error = cudaSuccess;
  std::unique_ptr<Captured> captured = finish(stream, error);
  check(error, "cudaStreamEndCapture");
  if (captured->left > 0) throw std::logic_error("memory of a graph outlives its capture");
  error = instantiate(*captured, stream);
  if (error == cudaErrorMemoryAllocation) {  // once more with what the pool keeps for later
    cudaGetLastError();
    if (captured->launched) cudaGraphExecDestroy(std::exchange(captured->launched, nullptr));
    synchronize_device();
    release_cached();
    error = instantiate(*captured, stream);
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw OutOfMemory("out of device memory for a CUDA graph", 0);
    }
  }
  check(error, "cudaGraphInstantiate");
  return {captured.release()};
}

void abandon_capture(Stream stream) noexcept {
  cudaError_t error = cudaSuccess;
  finish(stream, error);
}

void launch(const Graph& graph, Stream stream) {
  check(cudaGraphLaunch(static_cast<Captured*>(graph.handle)->launched, raw(stream)),
        "cudaGraphLaunch");
}

void destroy(Graph graph) noexcept { delete static_cast<Captured*>(graph.handle); }

}  // namespace graft::cuda
