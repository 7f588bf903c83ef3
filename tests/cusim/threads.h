// The threads of the running cluster, for those who decide which of them runs next.
#pragma once
#include <algorithm>
#include <memory>
#include <source_location>

#include "tests/cusim/cusim.h"
#include "tests/cusim/fiber.h"

namespace cusim {

enum class State : uint8_t { ready, at_barrier, in_collective, polling, done };

struct Thread {
  Fiber fiber;
  State state = State::done;
  uint3 index{};
  std::source_location at;  // where it waits
  int value = 0;            // brought to a barrier, and then the block's sum
  unsigned mask = 0;        // of the collective that it waits in
  const char* name = nullptr;
  Collective compute = nullptr;
  void* argument = nullptr;
  bool (*passes)(void*) = nullptr;  // whether it need not poll any longer, of its argument
};

extern std::unique_ptr<Thread> threads[kMostBlocks * kMostThreads];  // kept from cluster to cluster
extern unsigned blocks, count;  // of the cluster; threads of each block

void be(unsigned thread);  // the running one from now on

inline unsigned lanes_of(unsigned warp) { return std::min(32u, count - warp * 32 % kMostThreads); }

inline bool same_place(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() && a.file_name() == b.file_name();
}

// When every warp has gone as far as it can: lets blocks pass their barriers. True when the cluster
// is done; `ran`: some thread has got on since this was last asked.
bool pass_barriers(bool ran);

}  // namespace cusim
