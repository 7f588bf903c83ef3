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

void check_launch(const Shape& shape) {
  const auto& [grid, block, shared_bytes, cluster] = shape;
  const uint64_t size = uint64_t(block.x) * block.y * block.z;
  const bool block_fits = size >= 1 && size <= kMostThreads && block.z <= 64;
  const bool grid_fits = grid.x >= 1 && grid.x <= 0x7fffffffu && grid.y >= 1 && grid.y <= 65535 &&
                         grid.z >= 1 && grid.z <= 65535;
  const bool clusters_fit = cluster >= 1 && cluster <= kMostBlocks && grid.x % cluster == 0;
  if (!block_fits || !grid_fits || !clusters_fit || shared_bytes > kMostShared)
    fail(
        "no such launch: grid (%u,%u,%u), block (%u,%u,%u), %zu bytes of shared memory, clusters "
        "of %u",
        grid.x, grid.y, grid.z, block.x, block.y, block.z, shared_bytes, cluster);
}

}  // namespace cusim
