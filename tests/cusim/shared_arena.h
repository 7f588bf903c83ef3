// The shared memory of the running blocks: the first bytes of an arena of fixed address for each,
// so that a pointer into it has an offset, as descriptors of matrix tiles need.
#pragma once
#include <cstddef>
#include <cstdint>

namespace cusim {

void lend_shared(size_t bytes, unsigned blocks);  // filled with NaN; what lies behind is poisoned
void take_shared_back();
uint32_t shared_offset(const void* p);  // in the running block's arena
void* shared_at(uint32_t offset);
bool is_any_shared(const void* p);            // of any block
void* in_block(void* shared, unsigned rank);  // the same place in another block of the cluster

}  // namespace cusim
