// cusim runs CUDA kernels on the CPU, one fiber for each CUDA thread, so that tests, the sanitizers
// and a race check can look inside them on a machine without a GPU. What always holds:
// - One block runs at a time, or the blocks of one cluster, on one thread of the machine, one warp
//   after the other, each as far as it can: a missing barrier shows, which lockstep would hide.
// - Fresh shared memory and copies that have not been waited for read as NaN.
// - Every misuse ends the program with a line that names the block, the thread, and the place.
#pragma once
#include <vector_types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>

namespace cusim {

enum class Order { forward, reverse, random };  // of blocks, warps in a block, lanes in a warp

struct Config {
  Order order = Order::forward;
  uint64_t seed = 1;        // of Order::random
  bool late_copies = true;  // an asynchronous copy is done when it is waited for, not before
};
extern Config config;

struct Stats {
  uint64_t blocks, switches, barriers, collectives;
  uint64_t bank_conflicts;  // rows of ldmatrix that had to wait for another row's banks
};
extern Stats stats;

constexpr size_t kMostShared = 227 << 10;  // bytes that a block may have, on sm_90
constexpr unsigned kMostThreads = 1024;    // of a block
constexpr unsigned kMostBlocks = 2;        // of a cluster: no kernel here wants more

struct Shape {  // of a launch
  dim3 grid, block;
  size_t shared;         // bytes of a block
  unsigned cluster = 1;  // blocks that are neighbours along x
};
void check_launch(const Shape& shape);

// Runs a kernel to its end: body() once for each thread of each block.
void run(const Shape& shape, const std::function<void()>& body);

[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

// ---- What the parts of cusim use of each other; kernels do not.

struct Place {  // of a thread in the grid
  uint3 thread, block;
  dim3 block_size, grid_size;
};
extern Place place;  // of the running thread

// The running thread's index in its cluster, where block r has the threads from kMostThreads * r
// on, and the warps from kMostThreads / 32 * r on.
unsigned running();
inline unsigned lane() { return running() % 32; }
inline unsigned warp() { return running() / 32; }
inline unsigned rank() { return running() / kMostThreads; }  // of its block in the cluster
bool in_kernel();

void block_barrier(const std::source_location& at);
// What __syncthreads_count and its kin need: the barrier, and the sum of `value` over the block.
int block_sum(int value, const std::source_location& at);

// The thread goes on when passes(argument), which is asked again and again: as soon as it is true.
void wait_until(bool (*passes)(void*), void* argument, const std::source_location& at);

// The lanes of `mask` meet: each brings its argument, and when all are there, compute() is called
// once with the pointers that the 32 lanes brought (null for those outside the mask).
using Collective = void (*)(void* const arguments[32], unsigned mask);
void collective(unsigned mask, const char* name, Collective compute, void* argument,
                const std::source_location& at);

// The running block's shared memory. Fails when the launch asked for fewer bytes than are wanted.
void* shared_memory(size_t wanted);
bool is_shared(const void* p, size_t bytes, unsigned of = rank());  // lies wholly in that block's

}  // namespace cusim
