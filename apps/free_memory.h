// How much memory programs can still take before the system ends one of them.
#pragma once
#include <cstdint>
#include <filesystem>

namespace graft::app {

// MiB of 2^20 bytes: what the kernel estimates to be available, and no more than any control group
// of this process (that of a container, for instance) has left; INT64_MAX >> 20 where neither says.
// `root` is where proc/ and sys/fs/cgroup/ are.
// Source: proc(5), Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of Linux.
int64_t free_memory_mb(const std::filesystem::path& root = "/");

}  // namespace graft::app
