// Which deeds of whom a warp has seen, where mbarriers and not block barriers make the order:
// vector clocks (Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System",
// 1978). An actor is a warp, or all the copies that one mbarrier counts. Whoever passes an mbarrier
// has seen what each actor did until it arrived there; a lane speaks for its warp. The blocks of a
// cluster share one clock.
//
// An arrival in another block has the scope of a block (PTX ISA, "Memory Consistency Model"): what
// loads and stores did before it need not be seen there. What is over is over: products that read
// shared memory and were waited for, and copies that have come; of these alone it tells.
#pragma once
#include <array>
#include <cstdint>

#include "tests/cusim/cusim.h"

namespace cusim::before {

constexpr unsigned kWarps = kMostThreads / 32, kBarriers = 32;   // of a block
constexpr unsigned kCopies = kMostBlocks * kWarps;               // the first that is no warp
constexpr unsigned kActors = kCopies + kMostBlocks * kBarriers;  // warps first
using Times = std::array<uint32_t, kActors>;  // of each actor, its time up to which
struct Seen {
  Times all{}, async{};  // its deeds; its products and copies
};

uint32_t now(unsigned actor);  // its own time; never 0
void release(unsigned actor, Seen& barrier);
void release_async(unsigned actor, Seen& barrier);
void acquire(unsigned actor, const Seen& barrier);
bool has_seen(unsigned actor, unsigned other, uint32_t when);
bool has_seen_async(unsigned actor, unsigned other, uint32_t when);

void begin_cluster();
void meet(unsigned first_warp, unsigned warps);  // all of a block, at its barrier

}  // namespace cusim::before
