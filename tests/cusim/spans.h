// Stretches of shared memory that box copies write and wgmma reads, while the threads that started
// them go on. A copy may only begin where every earlier user is known to be done by the thread that
// starts it, and a product only where every copy is: whatever order cusim runs threads in.
#pragma once
#include <cstddef>
#include <cstdint>

namespace cusim::spans {

struct Span {
  const char *begin, *end;
  unsigned actor;     // of before.h
  uint32_t when = 0;  // when it was done
  bool running = true;
};

// By the running thread. Fail where somebody else is not known to be done.
Span* begin_copy(const void* to, size_t bytes, unsigned actor);
Span* begin_product(const void* from, size_t bytes);
void finish(Span* span);  // its actor is done with it now

void begin_cluster();

}  // namespace cusim::spans
