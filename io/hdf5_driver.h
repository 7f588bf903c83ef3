// Private to io/hdf5_*: identifiers of the HDF5 library with an owner, and the file driver through
// which the library reads and writes OUR descriptors. So it opens nothing by name, locks nothing,
// and a failed write never reaches it: the error is kept here and the library closes in order.
#pragma once
#define H5_USE_110_API
#include <hdf5.h>

#include <exception>
#include <mutex>
#include <utility>

#include "io/file.h"

namespace graft::hdf5 {

class Id {  // closes what it holds
 public:
  Id() = default;
  Id(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Id() { reset(); }
  Id(Id&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Id& operator=(Id&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  void reset() {
    if (id_ >= 0) close_(std::exchange(id_, -1));
  }
  hid_t get() const { return id_; }
  hid_t release() { return std::exchange(id_, -1); }  // the caller closes it
  bool ok() const { return id_ >= 0; }

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

// One file that the library has open: either input or output is set.
struct Session {
  const InputFile* input = nullptr;
  AtomicFile* output = nullptr;
  int64_t end = 0;           // input: what lies behind is not the library's
  std::exception_ptr error;  // the first failure; later writes are dropped
};

// The library is not safe for threads: every reader and writer holds this while it lives.
using LibraryLock = std::unique_lock<std::recursive_mutex>;
LibraryLock lock_library();

// Initialises the library: no messages on stderr, no plugins. Returns a file access list that
// makes H5Fopen and H5Fcreate work on `session`, whatever name they are given.
Id access_list(Session& session);

}  // namespace graft::hdf5
