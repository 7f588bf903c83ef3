// The tensor core's instructions with the signatures of kernels/cuda/ptx.cuh: matrix loads and
// products of a warp. Sums are taken in double and rounded once, which is exact for small
// integers; a real tensor core cuts sums off a little earlier.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <source_location>
#include <type_traits>

namespace cusim {

void load_matrices(uint32_t (&r)[4], const void* row, bool transposed,
                   const std::source_location& at);

enum class Element { bf16, f16, tf32 };
void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, Element element,
              const std::source_location& at);

inline void ldmatrix(uint32_t (&r)[4], const void* row,
                     const std::source_location& at = std::source_location::current()) {
  load_matrices(r, row, false, at);
}
inline void ldmatrix_transposed(uint32_t (&r)[4], const void* row,
                                const std::source_location& at = std::source_location::current()) {
  load_matrices(r, row, true, at);
}

template <class T>
void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                  const std::source_location& at = std::source_location::current()) {
  constexpr bool is_bf16 = std::is_same_v<T, __nv_bfloat16>;
  static_assert(is_bf16 || std::is_same_v<T, __half>, "bf16 or f16");
  multiply(c, a, b0, b1, is_bf16 ? Element::bf16 : Element::f16, at);
}
inline void mma_m16n8k8_tf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                             const std::source_location& at = std::source_location::current()) {
  multiply(c, a, b0, b1, Element::tf32, at);
}

// To nearest, ties away from zero; 13 bits of the mantissa go.
inline uint32_t round_to_tf32(uint32_t bits) {
  const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
  return (finite ? bits + 0x1000u : bits) & 0xffffe000u;
}

}  // namespace cusim
