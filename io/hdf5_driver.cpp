#include "io/hdf5_driver.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "core/check.h"
#include "io/hdf5_trial.h"
#if H5_VERSION_GE(1, 13, 2)
#include <H5FDdevelop.h>
#endif

namespace graft::hdf5 {
namespace {

struct File {
  H5FD_t base;  // the library's part; must be first
  Session* session;
  haddr_t end;  // of what the library has allocated
};

Session& session_of(const H5FD_t* file) { return *reinterpret_cast<const File*>(file)->session; }

// Runs `work`; no exception may pass through the C library, so the first is kept.
template <class Work>
bool guarded(Session& session, Work work) {
  try {
    work();
    return true;
  } catch (...) {
    if (!session.error) session.error = std::current_exception();
    return false;
  }
}

H5FD_t* open(const char*, unsigned, hid_t access, haddr_t) {
  auto* session = static_cast<Session* const*>(H5Pget_driver_info(access));
  if (!session) return nullptr;
  File* file = new (std::nothrow) File{};
  if (file) file->session = *session;
  return reinterpret_cast<H5FD_t*>(file);
}

herr_t close(H5FD_t* file) {
  delete reinterpret_cast<File*>(file);
  return 0;
}

int compare(const H5FD_t* a, const H5FD_t* b) {
  auto at = [](const H5FD_t* f) { return reinterpret_cast<uintptr_t>(&session_of(f)); };
  return at(a) < at(b) ? -1 : at(a) > at(b);
}

// The library's buffer for small reads of metadata is for writers only: after a read that failed, as
// one past the end of a cut file, 1.10.8 copies from a null pointer. `file` may be null.
herr_t query(const H5FD_t* file, unsigned long* flags) {
  bool writes = file && session_of(file).output;
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_DATA_SIEVE | H5FD_FEAT_AGGREGATE_SMALLDATA;
  if (writes) *flags |= H5FD_FEAT_ACCUMULATE_METADATA;
  return 0;
}

haddr_t get_eoa(const H5FD_t* file, H5FD_mem_t) { return reinterpret_cast<const File*>(file)->end; }

herr_t set_eoa(H5FD_t* file, H5FD_mem_t, haddr_t end) {
  reinterpret_cast<File*>(file)->end = end;
  return 0;
}

haddr_t get_eof(const H5FD_t* file, H5FD_mem_t) {
  const Session& s = session_of(file);
  return haddr_t(s.input ? s.end : s.output->size());
}

void read_input(const Session& s, int64_t offset, char* to, size_t size) {
  bool inside = offset >= 0 && offset <= s.end && size <= size_t(s.end - offset);
  GRAFT_CHECK(inside, "{}: damaged: it points to {} bytes at offset {}, but ends at {}",
              s.input->name(), size, offset, s.end);
  s.input->read(offset, to, size);
}

// What was not written yet reads as zero.
void read_output(const Session& s, int64_t offset, char* to, size_t size) {
  std::memset(to, 0, size);
  int64_t there = std::min(int64_t(size), s.output->size() - offset);
  if (there > 0 && !s.error) s.output->read_at(offset, to, size_t(there));
}

herr_t read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t offset, size_t size, void* to) {
  Session& s = session_of(file);
  auto* bytes = static_cast<char*>(to);
  bool done = guarded(s, [&] {
    if (s.input)
      read_input(s, int64_t(offset), bytes, size);
    else
      read_output(s, int64_t(offset), bytes, size);
  });
  return done ? 0 : -1;
}

herr_t write(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t offset, size_t size, const void* from) {
  Session& s = session_of(file);
  if (!s.output) return -1;
  if (!s.error) guarded(s, [&] { s.output->write_at(int64_t(offset), from, size); });
  return 0;
}

herr_t truncate(H5FD_t* file, hid_t, hbool_t) {
  Session& s = session_of(file);
  auto end = int64_t(reinterpret_cast<File*>(file)->end);
  if (s.output && !s.error && s.output->size() != end) guarded(s, [&] { s.output->resize(end); });
  return 0;
}

hid_t driver() {
  static const H5FD_class_t methods = [] {
    H5FD_class_t m{};
#if H5_VERSION_GE(1, 13, 2)
    m.version = H5FD_CLASS_VERSION;
    m.value = H5FD_class_value_t(600);  // of the range for drivers outside the library
#endif
    m.name = "graft";
    m.maxaddr = INT64_MAX;
    m.fc_degree = H5F_CLOSE_STRONG;
    m.fapl_size = sizeof(Session*);
    m.open = open, m.close = close, m.cmp = compare, m.query = query;
    m.get_eoa = get_eoa, m.set_eoa = set_eoa, m.get_eof = get_eof;
    m.read = read, m.write = write, m.truncate = truncate;
    const H5FD_mem_t map[] = H5FD_FLMAP_DICHOTOMY;
    std::copy(std::begin(map), std::end(map), m.fl_map);
    return m;
  }();
  static const hid_t id = H5FDregister(&methods);
  return id;
}

}  // namespace

LibraryLock lock_library() {
  static std::recursive_mutex mutex;
  if (in_trial()) return LibraryLock(mutex, std::defer_lock);  // its parent waits with the lock
  return LibraryLock(mutex);
}

Id access_list(Session& session) {
  static const bool ready = H5open() >= 0 && H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0 &&
                            H5PLset_loading_state(0) >= 0 && driver() >= 0;
  Id list(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  Session* info = &session;
  // The 1.8 format: checksummed metadata, and every HDF5 program of the last 15 years reads it.
  bool set = ready && H5Pset_driver(list.get(), driver(), &info) >= 0 &&
             H5Pset_fclose_degree(list.get(), H5F_CLOSE_STRONG) >= 0 &&
             H5Pset_libver_bounds(list.get(), H5F_LIBVER_V18, H5F_LIBVER_V18) >= 0;
  if (!set) fail(Fault::internal, "the HDF5 library does not start");
  return list;
}

}  // namespace graft::hdf5
