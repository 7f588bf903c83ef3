// The one way graft reports failure: it throws Error, which says what, where and what to do,
// and carries the kind of failure. The library never prints and never exits; programs catch once.
#pragma once
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace graft {

// Kinds of failure; the values are the exit codes of sysexits.h that a program should leave with.
enum class Fault {
  usage = 64,         // bad option or value
  data = 65,          // bad file, image, data set; shapes that do not fit
  no_input = 66,      // an input does not exist
  unavailable = 69,   // a device or backend is not there
  internal = 70,      // a broken promise of ours; NaN in training
  os = 71,            // out of memory, no more threads
  cant_create = 73,   // an output cannot be created
  io = 74,            // reading or writing failed half-way
  temporary = 75,     // try again: somebody else holds the run directory
  permission = 77,    // not allowed to read or write
};

class Error : public std::runtime_error {
 public:
  Error(Fault fault, const std::string& message) : std::runtime_error(message), fault(fault) {}
  Fault fault;
};

template <class... Args>
[[noreturn]] void fail(Fault fault, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fault, fmt::format(format, std::forward<Args>(args)...));
}

// Fault for a failed system call: 66 for ENOENT, 77 for EACCES/EPERM, 74 otherwise.
Fault fault_of_errno(int error, Fault otherwise = Fault::io);

}  // namespace graft

// GRAFT_CHECK(k == w.dim(1), "linear: x has {} columns, weight {}", k, w.dim(1));
// For shapes and arguments handed to the library: a failure is the caller's data.
#define GRAFT_CHECK(ok, ...)                                              \
  do {                                                                    \
    if (!(ok)) ::graft::fail(::graft::Fault::data, __VA_ARGS__);          \
  } while (0)
