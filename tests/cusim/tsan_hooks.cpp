// The hooks that g++ -fsanitize=thread puts before every load and store of a kernel, for race.h.
// Linked in place of the thread sanitizer's own library, which knows nothing of CUDA's threads.
#include <cstring>

#include "tests/cusim/cusim.h"
#include "tests/cusim/fiber.h"
#include "tests/cusim/race.h"

namespace {

void hook(const void* p, size_t bytes, cusim::race::Access access) {
  if (!cusim::in_kernel() || cusim::Fiber::on_any_stack(p)) return;
  cusim::race::check(cusim::running(), p, bytes, access);
}
constexpr auto kRead = cusim::race::Access::read, kWrite = cusim::race::Access::write;

}  // namespace

#define CUSIM_HOOKS(n)                                          \
  void __tsan_read##n(void* p) { hook(p, n, kRead); }           \
  void __tsan_write##n(void* p) { hook(p, n, kWrite); }         \
  void __tsan_unaligned_read##n(void* p) { hook(p, n, kRead); } \
  void __tsan_unaligned_write##n(void* p) { hook(p, n, kWrite); }
extern "C" {
CUSIM_HOOKS(1)
CUSIM_HOOKS(2)
CUSIM_HOOKS(4)
CUSIM_HOOKS(8)
CUSIM_HOOKS(16)
void __tsan_read_range(void* p, unsigned long n) { hook(p, n, kRead); }
void __tsan_write_range(void* p, unsigned long n) { hook(p, n, kWrite); }
void* __tsan_memcpy(void* to, const void* from, unsigned long n) {  // these three are clang's
  hook(from, n, kRead);
  hook(to, n, kWrite);
  return std::memcpy(to, from, n);
}
void* __tsan_memmove(void* to, const void* from, unsigned long n) {
  hook(from, n, kRead);
  hook(to, n, kWrite);
  return std::memmove(to, from, n);
}
void* __tsan_memset(void* to, int value, unsigned long n) {
  hook(to, n, kWrite);
  return std::memset(to, value, n);
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

// Atomics of the host code beside a kernel: shared pointers, the guards of static variables.
#define CUSIM_ATOMIC_HOOKS(bits, T)                                                        \
  T __tsan_atomic##bits##_load(const volatile T* p, int) { return __atomic_load_n(p, 5); } \
  void __tsan_atomic##bits##_store(volatile T* p, T v, int) { __atomic_store_n(p, v, 5); } \
  T __tsan_atomic##bits##_fetch_add(volatile T* p, T v, int) {                             \
    return __atomic_fetch_add(p, v, 5);                                                    \
  }                                                                                        \
  T __tsan_atomic##bits##_fetch_sub(volatile T* p, T v, int) { return __atomic_fetch_sub(p, v, 5); }
CUSIM_ATOMIC_HOOKS(8, char)
CUSIM_ATOMIC_HOOKS(32, int)
CUSIM_ATOMIC_HOOKS(64, long)
}
