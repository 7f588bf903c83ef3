#include "tests/cusim/fiber.h"

#include <sys/mman.h>

#include <new>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

// Saves the registers that a callee must keep, stores the stack pointer in *save, and goes on with
// the stack `load`, which was left in the same way. As a C function it would be void
// cusim_switch(void** save, void* load).
#ifndef __x86_64__
#error "cusim switches stacks in x86-64 assembly"
#endif
asm(R"(
.text
.globl cusim_switch
.type cusim_switch, @function
cusim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cusim_switch, .-cusim_switch
)");
extern "C" void cusim_switch(void** save, void* load);

namespace cusim {
namespace {

struct Scheduler {  // where fibers return to
  void* pointer;
  void* fake;
  const void* stack;
  size_t size;
} scheduler;
Fiber* current;

void before_switch([[maybe_unused]] void** fake, [[maybe_unused]] const void* stack,
                   [[maybe_unused]] size_t size) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(fake, stack, size);
#endif
}

void after_switch([[maybe_unused]] void* fake, [[maybe_unused]] const void** stack,
                  [[maybe_unused]] size_t* size) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(fake, stack, size);
#endif
}

constexpr size_t kSlot = Fiber::kStack + 4096;  // with its guard

// All stacks lie side by side, so that one comparison tells whether something is on one of them.
char* stacks() {
  static char* const first = [] {
    void* all = mmap(nullptr, Fiber::kMost * kSlot, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) throw std::bad_alloc();
    return static_cast<char*>(all);
  }();
  return first;
}

}  // namespace

Fiber::Fiber() {
  static size_t made = 0;
  if (made == kMost) throw std::bad_alloc();
  char* slot = stacks() + made++ * kSlot;
  mprotect(slot, kSlot - kStack, PROT_NONE);
  stack_ = slot + kSlot - kStack;
}

bool Fiber::on_any_stack(const void* p) { return p >= stacks() && p < stacks() + kMost * kSlot; }

void Fiber::start(void (*body)()) {
  body_ = body;
  fake_ = nullptr;
  auto top = reinterpret_cast<void**>(stack_ + kStack - 64);
  *--top = nullptr;  // enter() must find the stack aligned as by a call
  *--top = reinterpret_cast<void*>(&Fiber::enter);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  pointer_ = top;
}

void Fiber::enter() {
  after_switch(nullptr, &scheduler.stack, &scheduler.size);
  current->body_();
  current->leave(/*for_good=*/true);
}

void Fiber::resume() {
  current = this;
  before_switch(&scheduler.fake, stack_, kStack);
  cusim_switch(&scheduler.pointer, pointer_);
  after_switch(scheduler.fake, nullptr, nullptr);
}

void Fiber::yield() { leave(/*for_good=*/false); }

void Fiber::leave(bool for_good) {
  before_switch(for_good ? nullptr : &fake_, scheduler.stack, scheduler.size);
  cusim_switch(&pointer_, scheduler.pointer);
  after_switch(fake_, &scheduler.stack, &scheduler.size);
}

}  // namespace cusim
