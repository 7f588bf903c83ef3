// The simulated device: its streams as queues of work, and what it has handed out. For
// runtime_sim.cpp and graph_sim.cpp alone.
#pragma once
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>

#include "tests/cusim/runtime_sim.h"
#include "tests/cusim/sim_blocks.h"

namespace graft::cuda {

using Clock = std::chrono::steady_clock;

struct Queue {
  std::deque<std::function<void()>> work;
};

struct Mark {  // what an event has recorded
  Queue* queue;
  bool passed = false;
  Clock::time_point when{};
};

struct Recorder {
  std::shared_ptr<Mark> last;
};

struct Device {
  std::recursive_mutex mutex;
  Queue standard;  // of Stream{}
  std::set<Queue*> queues{&standard};
  Blocks memory, pinned;
  size_t live = 0, peak = 0;
  sim::Faults faults = sim::faults_of_environment();
  long calls = 0, launches = 0;
  bool lost = false;
};

inline Device& device() {
  static Device* device = new Device;
  return *device;
}
using Lock = std::lock_guard<std::recursive_mutex>;

inline Queue& queue(Stream stream) {
  return stream.handle ? *static_cast<Queue*>(stream.handle) : device().standard;
}

inline void step(Queue& q) {
  auto work = std::move(q.work.front());
  q.work.pop_front();
  work();
}
inline void drain(Queue& q) {
  while (!q.work.empty()) step(q);
}
inline void drain_all() {
  for (Queue* q : device().queues) drain(*q);
}

inline void require(const Mark& mark) {  // the streams run just as far as they must
  while (!mark.passed) step(*mark.queue);
}

}  // namespace graft::cuda
