// CRC-32C (Castagnoli), to notice damage in files of ours: finds every single flipped byte.
// Uses the processor's crc32 instruction where it has one.
#pragma once
#include <cstddef>
#include <cstdint>

namespace graft {

// Continues from `crc`, the value for the bytes before; 0 at the beginning.
uint32_t crc32c(const void* data, size_t bytes, uint32_t crc = 0);

}  // namespace graft
