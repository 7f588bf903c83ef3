// Runs the threads of a cluster, which is one block for most kernels: warps depth first, block
// barriers, warp collectives.
#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "tests/cusim/async_copy.h"
#include "tests/cusim/before.h"
#include "tests/cusim/box_copy.h"
#include "tests/cusim/cluster.h"
#include "tests/cusim/crash.h"
#include "tests/cusim/cusim.h"
#include "tests/cusim/mbarrier.h"
#include "tests/cusim/named_barrier.h"
#include "tests/cusim/race.h"
#include "tests/cusim/shared_arena.h"
#include "tests/cusim/spans.h"
#include "tests/cusim/threads.h"
#include "tests/cusim/wgmma.h"

namespace cusim {

Config config;
Stats stats;
Place place;
namespace race {
Clock clock;
}

std::unique_ptr<Thread> threads[kMostBlocks * kMostThreads];
unsigned blocks, count;

namespace {

unsigned current;  // thread
uint3 block_index[kMostBlocks];
bool kernel_runs;
const std::function<void()>* body;

void thread_main() {
  (*body)();
  check_no_copy_in_flight(current);
  leave_cluster();
  threads[current]->state = State::done;
}

void resume(unsigned i) {
  be(i);
  kernel_runs = true;
  threads[i]->fiber.resume();
  kernel_runs = false;
}

void wait(State state, const std::source_location& at) {
  Thread& self = *threads[current];
  self.state = state;
  self.at = at;
  ++stats.switches;
  self.fiber.yield();
}

void start_block(unsigned first) {  // thread
  const dim3 size = place.block_size;
  for (unsigned i = 0; i < count; ++i) {
    auto& thread = threads[first + i];
    if (!thread) thread = std::make_unique<Thread>();
    thread->index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
    thread->state = State::ready;
    thread->fiber.start(thread_main);
    forget_copies(first + i);
  }
}

void start_cluster() {
  for (unsigned b = 0; b < blocks; ++b) start_block(b * kMostThreads);
  before::begin_cluster();
  spans::begin_cluster();
  begin_cluster();
  forget_barriers();
  forget_named_barriers();
  forget_box_copies();
  forget_products();
}

bool done_polling(unsigned i) {
  if (threads[i]->state != State::polling) return false;
  be(i);
  return threads[i]->passes(threads[i]->argument);
}

// All lanes that this lane's collective names have arrived in the same one.
bool complete(unsigned base, unsigned lanes, unsigned lane, void* (&arguments)[32]) {
  const Thread& first = *threads[base + lane];
  for (unsigned l = 0; l < 32; ++l) {
    if (!(first.mask >> l & 1)) continue;
    be(base + lane);
    if (l >= lanes)
      fail("%s: mask %08x names lane %u of a warp of %u", first.name, first.mask, l, lanes);
    const Thread& other = *threads[base + l];
    if (other.state == State::done)
      fail("%s at %s:%u: mask %08x names lane %u, which has exited", first.name,
           first.at.file_name(), first.at.line(), first.mask, l);
    if (other.state != State::in_collective) return false;
    if (other.compute != first.compute || other.mask != first.mask ||
        !same_place(other.at, first.at))
      fail(
          "lanes %u and %u of a warp are in different collectives: %s at %s:%u, mask %08x; "
          "%s at %s:%u, mask %08x",
          lane, l, first.name, first.at.file_name(), first.at.line(), first.mask, other.name,
          other.at.file_name(), other.at.line(), other.mask);
    arguments[l] = other.argument;
  }
  return true;
}

void run_collectives(unsigned warp) {
  const unsigned base = warp * 32, lanes = lanes_of(warp);
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if (threads[base + lane]->state != State::in_collective) continue;
    void* arguments[32] = {};
    if (!complete(base, lanes, lane, arguments)) continue;
    const unsigned mask = threads[base + lane]->mask;
    be(base + lane);
    threads[current]->compute(arguments, mask);
    ++stats.collectives;
    ++race::clock.warp[warp];
    for (unsigned l = 0; l < 32; ++l)
      if (mask >> l & 1) threads[base + l]->state = State::ready;
  }
}

// One warp as far as it can go: until all of its threads are at a block barrier or done.
bool run_warp(unsigned warp, const std::vector<unsigned>& lane_order) {
  const unsigned base = warp * 32;
  bool ran = false;
  for (bool more = true; more;) {
    more = false;
    for (unsigned lane : lane_order) {
      if (lane >= lanes_of(warp)) continue;
      State& state = threads[base + lane]->state;
      if (done_polling(base + lane)) state = State::ready;
      if (state != State::ready) continue;
      resume(base + lane);
      ran = more = true;
    }
    if (more) run_collectives(warp);
  }
  return ran;
}

void run_cluster(std::mt19937_64& random, std::vector<unsigned>& warps,
                 std::vector<unsigned>& lanes) {
  start_cluster();
  for (bool done = false; !done;) {
    if (config.order == Order::random) {
      std::shuffle(warps.begin(), warps.end(), random);
      std::shuffle(lanes.begin(), lanes.end(), random);
    }
    bool ran = false;
    for (unsigned warp : warps) ran |= run_warp(warp, lanes);
    done = pass_barriers(ran);
  }
  check_nobody_waits_by_name();
  check_no_box_copy_under_way();
  check_no_product_under_way();
  check_blocks_outlived_visits();
}

std::vector<unsigned> in_order(unsigned size) {
  std::vector<unsigned> order(size);
  std::iota(order.begin(), order.end(), 0u);
  if (config.order == Order::reverse) std::reverse(order.begin(), order.end());
  return order;
}

}  // namespace

void be(unsigned i) {
  current = i;
  place.thread = threads[i]->index;
  place.block = block_index[rank()];
}

unsigned running() { return current; }
bool in_kernel() { return kernel_runs; }
void block_barrier(const std::source_location& at) { block_sum(0, at); }

int block_sum(int value, const std::source_location& at) {
  threads[current]->value = value;
  wait(State::at_barrier, at);
  return threads[current]->value;
}

void wait_until(bool (*passes)(void*), void* argument, const std::source_location& at) {
  if (passes(argument)) return;
  Thread& self = *threads[current];
  self.passes = passes;
  self.argument = argument;
  wait(State::polling, at);
}

void collective(unsigned mask, const char* name, Collective compute, void* argument,
                const std::source_location& at) {
  if (!(mask >> lane() & 1)) fail("%s: mask %08x lacks the calling lane %u", name, mask, lane());
  Thread& self = *threads[current];
  self.mask = mask;
  self.name = name;
  self.compute = compute;
  self.argument = argument;
  wait(State::in_collective, at);
}

void run(const Shape& shape, const std::function<void()>& kernel_body) {
  name_faults();
  const dim3 grid = shape.grid, block = shape.block;
  blocks = shape.cluster;
  count = block.x * block.y * block.z;
  body = &kernel_body;
  place.block_size = block;
  place.grid_size = grid;
  const unsigned warps_of_block = (count + 31) / 32;
  std::vector<unsigned> warps = in_order(blocks * warps_of_block), lanes = in_order(32);
  for (unsigned& w : warps) w = w / warps_of_block * kMostThreads / 32 + w % warps_of_block;
  std::mt19937_64 random(config.seed);
  ++race::clock.kernel;
  std::vector<unsigned> clusters = in_order(grid.x * grid.y * grid.z / blocks);
  if (config.order == Order::random) std::shuffle(clusters.begin(), clusters.end(), random);
  for (unsigned cluster : clusters) {
    for (unsigned b = 0; b < blocks; ++b) {
      const unsigned i = cluster * blocks + b;
      block_index[b] = {i % grid.x, i / grid.x % grid.y, i / (grid.x * grid.y)};
      race::clock.number[b] = i;
    }
    stats.blocks += blocks;
    race::clock.next_cluster();
    lend_shared(shape.shared, blocks);
    run_cluster(random, warps, lanes);
    take_shared_back();
  }
}

}  // namespace cusim
