// What tests can ask of the simulated CUDA runtime (runtime_sim.cpp implements kernels/runtime.h).
// Streams are queues that run when somebody waits for them and not before, so that a missing wait
// shows. Device memory lies between guard pages, is NaN at first and gone once it is released; it
// is aligned to 16 bytes only. Failures can be ordered in advance.
#pragma once
#include <cstddef>
#include <functional>

#include "kernels/runtime.h"

namespace graft::cuda::sim {

// Of the device where nobody says otherwise: GRAFT_SIM_PROCESSORS, or few, so that small problems come
// in several waves.
int usual_processors();

struct Faults {
  long fail_at = 0;          // the n-th call from now fails once (1 is the next); 0 is never
  bool sticky = false;       // and every call after it
  size_t budget = SIZE_MAX;  // bytes of device memory
  int devices = 1;           // 0: as without a driver
  int major = 9;             // compute capability
  bool wgmma = true;         // whether wgmma_works() says so
  int processors = usual_processors();  // multiprocessors
  bool tensor_maps = true;   // whether the driver encodes them
};
void inject(const Faults& faults);  // also begins to count calls anew
// Those a program starts with: GRAFT_SIM_FAULTS="fail_at=7,sticky=1,budget=1000000".
Faults faults_of_environment();
bool encodes_tensor_maps();
long calls();     // that could have failed, since the last inject()
long launches();  // of kernels and of graphs, since then; not those that were captured

void reset();  // no device memory may be live; forgets faults and any error
bool idle();   // no stream has work left

// For launch.cuh: a call that may be told to fail, and work for a stream.
void begin_call(const char* what);
void enqueue(Stream stream, std::function<void()> work);

}  // namespace graft::cuda::sim
