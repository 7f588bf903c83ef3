// The shared memory of the running block: the first bytes of one arena of fixed address, so that a
// pointer into it has an offset, as descriptors of matrix tiles need.
#pragma once
#include <cstddef>
#include <cstdint>

namespace cusim {

void lend_shared(size_t bytes);  // filled with NaN; what lies behind is poisoned
void take_shared_back();
uint32_t shared_offset(const void* p);  // in the arena
void* shared_at(uint32_t offset);

}  // namespace cusim
