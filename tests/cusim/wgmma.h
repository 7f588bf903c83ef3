// wgmma with the signatures of kernels/cuda/ptx.cuh: products of a warpgroup whose factors lie in
// shared memory, where descriptors of the PTX ISA ("Matrix Descriptor Format", with the layouts
// that CUTLASS' mma_traits_sm90_gmma.hpp states for the swizzle of 128 bytes) find them. They are
// done when their warp waits for them, as late as CUDA allows; the sums read as NaN until then.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <source_location>
#include <type_traits>

namespace cusim {

struct ProductOf {  // what all lanes of a warpgroup agree on
  uint64_t a, b;    // descriptors
  bool outer_a, outer_b, is_bf16;
  int columns;
  bool operator==(const ProductOf&) const = default;
};

void start_product(float* c, const ProductOf& what, const std::source_location& at);
void fence_sums(const std::source_location& at);
void commit_products(const std::source_location& at);
void wait_products(int groups_left, const std::source_location& at);
void set_registers(const std::source_location& at);

void forget_products();             // when a cluster begins
void check_no_product_under_way();  // when it ends

uint64_t matrix_descriptor(const void* start, int eight_rows, int next_column);

using Here = std::source_location;

template <class T, bool kOuterA, bool kOuterB, int kCount>
void wgmma_k16(float (&c)[kCount], uint64_t a, uint64_t b, const Here& at = Here::current()) {
  constexpr bool is_bf16 = std::is_same_v<T, __nv_bfloat16>;
  static_assert(is_bf16 || std::is_same_v<T, __half>, "bf16 or f16");
  static_assert(kCount == 64 || kCount == 128, "128 or 256 columns");
  start_product(c, {a, b, kOuterA, kOuterB, is_bf16, 2 * kCount}, at);
}
template <int kCount>
void wgmma_fence(float (&)[kCount], const Here& at = Here::current()) {
  fence_sums(at);
}
inline void wgmma_commit(const Here& at = Here::current()) { commit_products(at); }
template <int kGroups, int kCount>
void wgmma_wait(float (&)[kCount], const Here& at = Here::current()) {
  wait_products(kGroups, at);
}

template <int kCount>
void shrink_registers(const Here& at = Here::current()) {
  static_assert(kCount % 8 == 0 && kCount >= 24 && kCount <= 256);
  set_registers(at);
}
template <int kCount>
void grow_registers(const Here& at = Here::current()) {
  shrink_registers<kCount>(at);
}

}  // namespace cusim
