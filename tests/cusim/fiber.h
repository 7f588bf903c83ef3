// A stack on which a function runs until it yields, and goes on where it was when it is resumed.
// Switching is ten instructions: swapcontext() makes two system calls and takes ten times as long.
#pragma once
#include <cstddef>

namespace cusim {

class Fiber {
 public:
  Fiber();  // there may be kMost of them
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void start(void (*body)());  // the next resume() begins body(), on a fresh stack
  void resume();               // from the scheduler's stack, until yield() or the end of the body
  void yield();                // from this fiber: back to resume()

  static bool on_any_stack(const void* p);
  static constexpr size_t kMost = 2048;
  static constexpr size_t kStack = 128 << 10;  // bytes; the page below each is guarded

 private:
  static void enter();
  void leave(bool for_good);

  char* stack_;  // its lowest byte
  void (*body_)() = nullptr;
  void* pointer_ = nullptr;  // the stack pointer while it does not run
  void* fake_ = nullptr;     // the address sanitizer's own
};

}  // namespace cusim
