// kernels/runtime.h on the CPU.
#include "tests/cusim/runtime_sim.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>
#include <vector>

#include "kernels/cuda/copy.h"
#include "kernels/cuda/gemm_plan.h"
#include "tests/cusim/cusim.h"
#include "tests/cusim/driver_sim.h"
#include "tests/cusim/sim_capture.h"
#include "tests/cusim/sim_device.h"

namespace graft::cuda {

constexpr int kLaunchFailure = 719;  // of cudaError_t

namespace sim {

int usual_processors() {
  static const char* given = std::getenv("GRAFT_SIM_PROCESSORS");
  return given ? std::atoi(given) : 4;
}

Faults faults_of_environment() {
  Faults f;
  const char* given = std::getenv("GRAFT_SIM_FAULTS");
  std::istringstream parts(given ? given : "");
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t equals = std::min(part.find('='), part.size() - 1);
    const std::string name = part.substr(0, equals);
    const long value = std::atol(part.c_str() + equals + 1);
    if (name == "fail_at") f.fail_at = value;
    else if (name == "sticky") f.sticky = value != 0;
    else if (name == "budget") f.budget = size_t(value);
    else if (name == "devices") f.devices = int(value);
    else if (name == "major") f.major = int(value);
    else if (name == "wgmma") f.wgmma = value != 0;
    else if (name == "tensor_maps") f.tensor_maps = value != 0;
    else cusim::fail("GRAFT_SIM_FAULTS: '%s' is unknown", part.c_str());
  }
  return f;
}

void inject(const Faults& faults) {
  Lock lock(device().mutex);
  device().faults = faults;
  device().calls = device().launches = 0;
}

bool encodes_tensor_maps() { return device().faults.tensor_maps; }
long calls() { return device().calls; }
long launches() { return device().launches; }

void reset() {
  Lock lock(device().mutex);
  drain_all();
  if (!device().memory.empty())
    cusim::fail("%zu blocks of device memory were never released", device().memory.size());
  device().lost = false;
  device().peak = 0;
  inject({});
}

bool idle() {
  Lock lock(device().mutex);
  for (Queue* q : device().queues)
    if (!q->work.empty()) return false;
  return true;
}

void begin_call(const char* what) {
  Lock lock(device().mutex);
  Device& d = device();
  const std::string where = std::string(what) + ": injected failure";
  if (d.lost) throw DeviceError(where + " (sticky)", kLaunchFailure, true);
  if (++d.calls != d.faults.fail_at) {
    const std::string_view name = what;
    d.launches += (name == "launch" || name == "cudaGraphLaunch") && !capturing;
    return;
  }
  d.lost = d.faults.sticky;
  throw DeviceError(where, kLaunchFailure, d.faults.sticky);
}

void enqueue(Stream stream, std::function<void()> work) {
  Lock lock(device().mutex);
  if (!capturing) return queue(stream).work.push_back(std::move(work));
  if (&queue(stream) != capturing->queue) lose_capture("work in another stream");
  capturing->graph->work.push_back(std::move(work));
}

}  // namespace sim

int device_count() noexcept { return sim::driver_works() ? device().faults.devices : 0; }

void use_device(int index) {
  sim::begin_call("cudaSetDevice");
  if (index != 0) throw DeviceError("cudaSetDevice: invalid device ordinal", 101, false);
}

DeviceInfo device_info() {
  return {"cusim", device().faults.major, 0, multiprocessors(), 1u << 30, 227 << 10, 228 << 10};
}
bool wgmma_works() { return wgmma_wanted() && device().faults.major == 9 && device().faults.wgmma; }
int multiprocessors() { return device().faults.processors; }

Stream create_stream() {
  sim::begin_call("cudaStreamCreate");
  Lock lock(device().mutex);
  return {*device().queues.insert(new Queue).first};
}

void destroy(Stream stream) noexcept {
  if (!stream.handle) return;
  Lock lock(device().mutex);
  drain_all();  // others may wait for its events
  device().queues.erase(static_cast<Queue*>(stream.handle));
  delete static_cast<Queue*>(stream.handle);
}

void synchronize(Stream stream) {
  Lock lock(device().mutex);
  if (!capturing) drain(queue(stream));  // told to fail, too: what it copies to may be gone after that
  sim::begin_call("cudaStreamSynchronize");
  not_while_capturing("cudaStreamSynchronize");
}

void synchronize_device() {
  sim::begin_call("cudaDeviceSynchronize");
  not_while_capturing("cudaDeviceSynchronize");
  Lock lock(device().mutex);
  drain_all();
}

Event create_event(bool) {
  sim::begin_call("cudaEventCreate");
  return {new Recorder};
}

void destroy(Event event) noexcept { delete static_cast<Recorder*>(event.handle); }

void record(Event event, Stream stream) {
  sim::begin_call("cudaEventRecord");
  not_while_capturing("cudaEventRecord");
  auto mark = std::make_shared<Mark>(Mark{&queue(stream)});
  static_cast<Recorder*>(event.handle)->last = mark;
  sim::enqueue(stream, [mark] {
    mark->passed = true;
    mark->when = Clock::now();
  });
}

void wait(Stream stream, Event event) {
  sim::begin_call("cudaStreamWaitEvent");
  not_while_capturing("cudaStreamWaitEvent");
  if (auto mark = static_cast<Recorder*>(event.handle)->last)
    sim::enqueue(stream, [mark] { require(*mark); });
}

bool finished(Event event) {  // whoever asks again and again lets the work go on
  sim::begin_call("cudaEventQuery");
  not_while_capturing("cudaEventQuery");
  Lock lock(device().mutex);
  auto mark = static_cast<Recorder*>(event.handle)->last;
  if (!mark || mark->passed) return true;
  step(*mark->queue);
  return false;
}

void synchronize(Event event) {
  sim::begin_call("cudaEventSynchronize");
  not_while_capturing("cudaEventSynchronize");
  Lock lock(device().mutex);
  if (auto mark = static_cast<Recorder*>(event.handle)->last) require(*mark);
}

float milliseconds(Event from, Event to) {
  sim::begin_call("cudaEventElapsedTime");
  auto a = static_cast<Recorder*>(from.handle)->last, b = static_cast<Recorder*>(to.handle)->last;
  if (!a || !b || !a->passed || !b->passed)
    throw DeviceError("cudaEventElapsedTime: not ready", 600, false);
  return std::chrono::duration<float, std::milli>(b->when - a->when).count();
}

void* allocate(size_t bytes, Stream) {
  if (bytes == 0) return nullptr;
  Lock lock(device().mutex);
  Device& d = device();
  auto refuse = [&] {
    throw OutOfMemory("out of device memory: " + std::to_string(bytes) + " bytes asked for", bytes);
  };
  try {
    sim::begin_call("cudaMallocFromPoolAsync");
  } catch (const DeviceError& e) {
    if (e.sticky) throw;
    refuse();
  }
  if (capturing) return capturing->allocate(bytes);
  if (d.live + bytes > d.faults.budget) drain_all();  // what is released in some stream comes back
  if (d.live + bytes > d.faults.budget) refuse();
  void* block = add_block(d.memory, bytes);
  d.live += bytes;
  d.peak = std::max(d.peak, d.live);
  return block;
}

void release(void* block, Stream stream) noexcept {
  if (!block) return;
  if (capturing) return capturing->release(block);
  sim::enqueue(stream,
               [block] { device().live -= remove_block(device().memory, block, "release"); });
}

void release_cached() {}
DeviceMemory device_memory() { return {device().live, device().peak, device().live}; }
void reset_device_peak() { device().peak = device().live; }

void* allocate_pinned(size_t bytes) {
  if (bytes == 0) return nullptr;
  sim::begin_call("cudaMallocHost");
  not_while_capturing("cudaMallocHost");
  Lock lock(device().mutex);
  return add_block(device().pinned, bytes);
}

void release_pinned(void* block) noexcept {
  if (!block) return;
  Lock lock(device().mutex);
  drain_all();  // as CUDA does
  remove_block(device().pinned, block, "release_pinned");
}

bool is_pageable(const void* p) {
  Lock lock(device().mutex);
  return !within(device().memory, p, 1) && !within(device().pinned, p, 1);
}

// Late whatever memory it is, as CUDA may be.
void start_copy(void* to, const void* from, size_t bytes, Stream stream) {
  sim::begin_call("cudaMemcpyAsync");
  Lock lock(device().mutex);
  auto known = [bytes](const void* p) {
    return within(device().memory, p, bytes) || within(device().pinned, p, bytes);
  };
  const bool both = known(from) && known(to);
  if (capturing && !both) lose_capture("cudaMemcpyAsync of memory that is not pinned");
  sim::enqueue(stream, [=] { std::memcpy(to, from, bytes); });
}

void fill_bytes(void* to, uint8_t value, size_t bytes, Stream stream) {
  if (bytes == 0) return;
  sim::begin_call("cudaMemsetAsync");
  Lock lock(device().mutex);
  if (!within(device().memory, to, bytes))
    throw DeviceError("cudaMemsetAsync: invalid argument", 1, false);
  sim::enqueue(stream, [=] { std::memset(to, value, bytes); });
}

}  // namespace graft::cuda
