// bar.sync with the signature of kernels/cuda/ptx.cuh: a barrier of some warps of a block. As on the
// hardware a warp meets as a whole, so its lanes must be together when it comes.
#pragma once
#include <source_location>

namespace cusim {

void barrier_sync(int id, int threads,
                  const std::source_location& at = std::source_location::current());
void forget_named_barriers();          // when a cluster begins
void check_nobody_waits_by_name();     // when it ends

}  // namespace cusim
