// Runs the threads of a block: warps depth first, block barriers, warp collectives.
#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "tests/cusim/async_copy.h"
#include "tests/cusim/before.h"
#include "tests/cusim/box_copy.h"
#include "tests/cusim/crash.h"
#include "tests/cusim/cusim.h"
#include "tests/cusim/fiber.h"
#include "tests/cusim/mbarrier.h"
#include "tests/cusim/race.h"
#include "tests/cusim/shared_arena.h"
#include "tests/cusim/spans.h"
#include "tests/cusim/wgmma.h"

namespace cusim {

Config config;
Stats stats;
Place place;
namespace race {
Clock clock;
}

namespace {

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

std::vector<std::unique_ptr<Thread>> threads;  // kept from block to block
unsigned count, current;                       // threads of the block; the running one
bool kernel_runs;
const std::function<void()>* body;

void thread_main() {
  (*body)();
  check_no_copy_in_flight(current);
  threads[current]->state = State::done;
}

void resume(unsigned i) {
  current = i;
  place.thread = threads[i]->index;
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

void start_block() {
  while (threads.size() < count) threads.push_back(std::make_unique<Thread>());
  const dim3 size = place.block_size;
  for (unsigned i = 0; i < count; ++i) {
    threads[i]->index = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
    threads[i]->state = State::ready;
    threads[i]->fiber.start(thread_main);
    forget_copies(i);
  }
  before::begin_block();
  spans::begin_block();
  forget_barriers();
  forget_box_copies();
  forget_products();
}

bool done_polling(unsigned i) {
  if (threads[i]->state != State::polling) return false;
  current = i;
  place.thread = threads[i]->index;
  return threads[i]->passes(threads[i]->argument);
}

bool same_place(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() && a.file_name() == b.file_name();
}

// All lanes that this lane's collective names have arrived in the same one.
bool complete(unsigned base, unsigned lanes, unsigned lane, void* (&arguments)[32]) {
  const Thread& first = *threads[base + lane];
  for (unsigned l = 0; l < 32; ++l) {
    if (!(first.mask >> l & 1)) continue;
    place.thread = first.index;
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
  const unsigned base = warp * 32, lanes = std::min(32u, count - base);
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if (threads[base + lane]->state != State::in_collective) continue;
    void* arguments[32] = {};
    if (!complete(base, lanes, lane, arguments)) continue;
    const unsigned mask = threads[base + lane]->mask;
    current = base + lane;
    place.thread = threads[current]->index;
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
      if (base + lane >= count) continue;
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

void release_barrier() {
  int sum = 0;
  for (unsigned i = 0; i < count; ++i) sum += threads[i]->value;
  for (unsigned i = 0; i < count; ++i) {
    threads[i]->value = sum;
    threads[i]->state = State::ready;
  }
  ++stats.barriers;
  ++race::clock.block;
  before::meet();
}

// After every warp has gone as far as it can: true when the block is done.
bool pass_barrier(bool ran) {
  unsigned done = 0, waiting = 0, polling = 0;
  const Thread* first = nullptr;
  for (unsigned i = 0; i < count; ++i) {
    const Thread& t = *threads[i];
    done += t.state == State::done;
    polling += t.state == State::polling;
    if (t.state != State::at_barrier) continue;
    ++waiting;
    if (!first) first = &t;
    place.thread = t.index;
    if (!same_place(t.at, first->at))
      fail("divergent barriers: thread (%u,%u,%u) at %s:%u, this one at %s:%u", first->index.x,
           first->index.y, first->index.z, first->at.file_name(), first->at.line(),
           t.at.file_name(), t.at.line());
  }
  if (done == count) return true;
  if (waiting == count) {
    release_barrier();
  } else if (waiting && waiting + done == count) {
    fail("barrier at %s:%u after %u of %u threads have returned", first->at.file_name(),
         first->at.line(), done, count);
  } else if (!ran) {
    fail(
        "deadlock: of %u threads %u are at a barrier, %u have returned, %u wait at an mbarrier, "
        "%u in a collective",
        count, waiting, done, polling, count - waiting - done - polling);
  }
  return false;
}

void run_block(std::mt19937_64& random, std::vector<unsigned>& warps,
               std::vector<unsigned>& lanes) {
  start_block();
  for (bool done = false; !done;) {
    if (config.order == Order::random) {
      std::shuffle(warps.begin(), warps.end(), random);
      std::shuffle(lanes.begin(), lanes.end(), random);
    }
    bool ran = false;
    for (unsigned warp : warps) ran |= run_warp(warp, lanes);
    done = pass_barrier(ran);
  }
  check_no_box_copy_under_way();
  check_no_product_under_way();
}

std::vector<unsigned> in_order(unsigned size) {
  std::vector<unsigned> order(size);
  std::iota(order.begin(), order.end(), 0u);
  if (config.order == Order::reverse) std::reverse(order.begin(), order.end());
  return order;
}

}  // namespace

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

void run(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& kernel_body) {
  name_faults();
  count = block.x * block.y * block.z;
  body = &kernel_body;
  place.block_size = block;
  place.grid_size = grid;
  std::vector<unsigned> warps = in_order((count + 31) / 32), lanes = in_order(32);
  std::mt19937_64 random(config.seed);
  ++race::clock.kernel;
  std::vector<unsigned> blocks = in_order(grid.x * grid.y * grid.z);
  if (config.order == Order::random) std::shuffle(blocks.begin(), blocks.end(), random);
  for (unsigned i : blocks) {
    place.block = {i % grid.x, i / grid.x % grid.y, i / (grid.x * grid.y)};
    ++stats.blocks;
    ++race::clock.block;
    lend_shared(shared_bytes);
    run_block(random, warps, lanes);
    take_shared_back();
  }
}

}  // namespace cusim
