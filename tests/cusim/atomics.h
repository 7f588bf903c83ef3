// Atomic functions, with the types that CUDA has them for and no others. Threads of cusim run one
// at a time, so that plain arithmetic is atomic; the race check is told that the access was.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "tests/cusim/race.h"

namespace cusim {

template <class T, class... Of>
constexpr bool one_of = (std::is_same_v<T, Of> || ...);
using ulonglong = unsigned long long;

template <class T, class New>
__attribute__((no_sanitize("thread"))) T atomic(T* p, const New& value_of) {
  if (reinterpret_cast<uintptr_t>(p) % sizeof(T))
    fail("atomic on %p: misaligned", static_cast<void*>(p));
  race::note(running(), p, sizeof(T), race::Access::atomic);
  const T old = *p;
  *p = value_of(old);
  return old;
}

}  // namespace cusim

// The second parameter takes no part in deduction, as CUDA's overloads convert it.
#define CUSIM_ATOMIC(name, result, ...)                                                    \
  template <class T>                                                                       \
  T name(T* p, std::type_identity_t<T> v) {                                                \
    static_assert(cusim::one_of<T, __VA_ARGS__>, #name ": CUDA has it not for this type"); \
    return cusim::atomic(p, [v](T old) { return T(result); });                             \
  }
CUSIM_ATOMIC(atomicAdd, old + v, int, unsigned, cusim::ulonglong, float, double, __half,
             __nv_bfloat16)
CUSIM_ATOMIC(atomicSub, old - v, int, unsigned)
CUSIM_ATOMIC(atomicMin, (v < old ? v : old), int, unsigned, long long, cusim::ulonglong)
CUSIM_ATOMIC(atomicMax, (old < v ? v : old), int, unsigned, long long, cusim::ulonglong)
CUSIM_ATOMIC(atomicExch, ((void)old, v), int, unsigned, cusim::ulonglong, float)
CUSIM_ATOMIC(atomicAnd, old& v, int, unsigned, cusim::ulonglong)
CUSIM_ATOMIC(atomicOr, old | v, int, unsigned, cusim::ulonglong)
CUSIM_ATOMIC(atomicXor, old ^ v, int, unsigned, cusim::ulonglong)
CUSIM_ATOMIC(atomicInc, (old >= v ? 0u : old + 1), unsigned)
#undef CUSIM_ATOMIC

template <class T>
T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> v) {
  static_assert(cusim::one_of<T, int, unsigned, cusim::ulonglong, unsigned short>);
  return cusim::atomic(p, [=](T old) { return old == expected ? v : old; });
}
