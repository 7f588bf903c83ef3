// The blocks of memory that the simulated runtime has handed out.
#pragma once
#include <map>
#include <memory>

#include "tests/cusim/cusim.h"
#include "tests/cusim/guarded.h"

namespace graft::cuda {

using Block = cusim::Guarded<char>;
using Blocks = std::map<const char*, std::unique_ptr<Block>>;  // by where they begin

// Whether p points into one of the blocks; an access beyond its end is the program's error.
inline bool within(const Blocks& blocks, const void* p, size_t bytes) {
  auto at = static_cast<const char*>(p);
  auto after = blocks.upper_bound(at);
  if (after == blocks.begin()) return false;
  auto& [begin, block] = *std::prev(after);
  if (at >= begin + block->size()) return false;
  if (at + bytes > begin + block->size())
    cusim::fail("%zu bytes at byte %td of a block of %zu", bytes, at - begin, block->size());
  return true;
}

inline void* add_block(Blocks& blocks, size_t bytes) {
  auto block = std::make_unique<Block>(bytes);
  char* begin = block->data();
  blocks[begin] = std::move(block);
  return begin;
}

// What still points to it meets memory that is not there.
inline size_t remove_block(Blocks& blocks, void* begin, const char* what) {
  auto found = blocks.find(static_cast<const char*>(begin));
  if (found == blocks.end()) cusim::fail("%s: %p is no block, or was released before", what, begin);
  const Block& block = *found->second;
  if (!block.intact()) cusim::fail("written beside a block of %zu bytes", block.size());
  const size_t bytes = block.size();
  blocks.erase(found);
  return bytes;
}

}  // namespace graft::cuda
