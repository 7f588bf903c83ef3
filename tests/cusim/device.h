// CUDA C++'s own names for g++: what a .cu file may use besides launch.cuh and ptx.cuh.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <math.h>
#include <vector_functions.h>
#include <vector_types.h>  // of the CUDA toolkit, as all of these; they need no nvcc

#include <algorithm>
#include <bit>
#include <cstdint>

#include "tests/cusim/atomics.h"
#include "tests/cusim/cusim.h"
#include "tests/cusim/warp.h"

#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __grid_constant__
#define __grid_constant__
#undef __forceinline__
#define __forceinline__ inline
#undef __shared__
#define __shared__ static_assert(false, "shared memory is declared with GRAFT_SHARED")

#define threadIdx (cusim::place.thread)
#define blockIdx (cusim::place.block)
#define blockDim (cusim::place.block_size)
#define gridDim (cusim::place.grid_size)
#define warpSize 32

#define CUSIM_HERE std::source_location::current()
#define __syncthreads() cusim::block_barrier(CUSIM_HERE)
#define __syncthreads_count(p) cusim::block_sum((p) != 0, CUSIM_HERE)
#define __syncthreads_or(p) int(cusim::block_sum((p) != 0, CUSIM_HERE) != 0)
#define __syncthreads_and(p) int(cusim::block_sum((p) == 0, CUSIM_HERE) == 0)

inline void __threadfence() {}        // blocks run one after the other
inline void __threadfence_block() {}  // and the threads of a block on one of the machine's
template <class T>
T __ldg_(const T* p) {
  return *p;
}
#define __ldg(p) __ldg_(p)
template <class T>
void __stwb(T* p, T v) {  // an ordinary store, never taken apart
  *p = v;
}

// glibc has __expf and the like as functions of its own, so these are macros. They are exact here
// where CUDA's are not: tests of what uses them need a tolerance.
#define __expf(x) ::expf(x)
#define __logf(x) ::logf(x)
#define __powf(x, y) ::powf(x, y)
#define __fdividef(x, y) ((x) / (y))
inline float rsqrtf(float x) { return 1.0f / ::sqrtf(x); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline double __dmul_rn(double x, double y) { return x * y; }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(unsigned x) { return x ? std::countr_zero(x) + 1 : 0; }
inline int __clz(unsigned x) { return std::countl_zero(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
inline uint64_t __umul64hi(uint64_t a, uint64_t b) {
  return uint64_t(static_cast<unsigned __int128>(a) * b >> 64);
}
using std::max;
using std::min;
