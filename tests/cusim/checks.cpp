// How a misuse ends, and what a launch may ask for.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "tests/cusim/cusim.h"

namespace cusim {

void fail(const char* format, ...) {
  std::fprintf(stderr, "cusim: block (%u,%u,%u) thread (%u,%u,%u): ", place.block.x, place.block.y,
               place.block.z, place.thread.x, place.thread.y, place.thread.z);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::abort();
}

void check_launch(dim3 grid, dim3 block, size_t shared_bytes) {
  const uint64_t size = uint64_t(block.x) * block.y * block.z;
  const bool block_fits = size >= 1 && size <= 1024 && block.z <= 64;
  const bool grid_fits = grid.x >= 1 && grid.x <= 0x7fffffffu && grid.y >= 1 && grid.y <= 65535 &&
                         grid.z >= 1 && grid.z <= 65535;
  if (!block_fits || !grid_fits || shared_bytes > kMostShared)
    fail("no such launch: grid (%u,%u,%u), block (%u,%u,%u), %zu bytes of shared memory", grid.x,
         grid.y, grid.z, block.x, block.y, block.z, shared_bytes);
}

}  // namespace cusim
