// What PackedFilter::bf16 (kernels/conv2d.h) comes to on this processor.
#pragma once
#include <cstdint>

namespace graft::cpu {

// Whether it rounds filters of c channels to k: those that have products enough.
bool rounds_to_bf16(int64_t c, int64_t k, int groups);

// How they are multiplied then: in f32 after all; emulated, slower than f32; or by units for it
// (avx512_bf16, amx).
enum class Bf16Products { none, emulated, native };
Bf16Products bf16_products();

}  // namespace graft::cpu
