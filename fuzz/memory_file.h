// A file in memory with a path, for readers that want one, and the promise that every fuzz target
// checks: bad bytes are an Error of kind data, and nothing else happens.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/check.h"

namespace graft::fuzz {

inline std::filesystem::path memory_file(const uint8_t* data, size_t size) {
  static const int file = memfd_create("fuzz", 0);
  bool written = ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == ssize_t(size);
  if (!written) abort();
  return "/proc/self/fd/" + std::to_string(file);
}

template <class F>
int expect_value_or_data_error(F f) {
  try {
    f();
  } catch (const Error& e) {
    if (e.fault != Fault::data) abort();
  }
  return 0;
}

}  // namespace graft::fuzz
