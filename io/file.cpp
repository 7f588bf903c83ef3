#include "io/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "core/check.h"
#include "io/source_file.h"

namespace graft {
namespace fs = std::filesystem;
namespace {

constexpr const char* kMark = ".graft-tmp-";  // temporaries: .NAME.graft-tmp-PID-COUNT

template <class Call>
auto retried(Call call) {  // again after a signal
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

Fault fault_of_output(int error) {
  bool missing = error == ENOENT || error == ENOTDIR;
  return missing ? Fault::cant_create : fault_of_errno(error, Fault::cant_create);
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

fs::path fresh_temporary(const fs::path& target) {
  static std::atomic<uint64_t> count{0};
  std::string name = "." + target.filename().string() + kMark;
  return folder_of(target) / (name + fmt::format("{}-{}", ::getpid(), count++));
}

// A symbolic link stays, and what it points to is replaced.
fs::path behind_link(const fs::path& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  fs::path real = fs::weakly_canonical(path, error);
  return error ? path : real;
}

// The pid in the name of a temporary of ours, or nothing.
std::optional<pid_t> writer_of(const std::string& name) {
  size_t at = name.rfind(kMark);
  if (name.empty() || name[0] != '.' || at == std::string::npos) return {};
  const char* digits = name.c_str() + at + std::strlen(kMark);
  char* end = nullptr;
  long pid = std::strtol(digits, &end, 10);
  if (end == digits || *end != '-' || pid <= 0) return {};
  return pid_t(pid);
}

// False, too, on a file system without locks.
bool locked_by_another(int fd) {
  return retried([&] { return ::flock(fd, LOCK_EX | LOCK_NB); }) != 0 && errno == EWOULDBLOCK;
}

void sync_folder(const fs::path& folder) {
  Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() >= 0 && ::fsync(fd.get()) == 0) return;
  if (errno == EINVAL || errno == ENOTSUP) return;  // a file system without folders to sync
  fail(Fault::io, "{}: cannot sync the folder: {}", escaped(folder.string()), strerror(errno));
}

}  // namespace

Descriptor::~Descriptor() { close(); }

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

int Descriptor::close() { return fd_ < 0 ? 0 : ::close(std::exchange(fd_, -1)); }

InputFile::InputFile(const fs::path& path)
    : name_(escaped(path.string())),
      fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {
  measure();
}

InputFile::InputFile(std::string name, Descriptor file)
    : name_(std::move(name)), fd_(std::move(file)) {
  measure();
}

void InputFile::measure() {
  struct stat info;
  if (fd_.get() < 0 || ::fstat(fd_.get(), &info) != 0)
    fail(fault_of_errno(errno), "{}: cannot open: {}", name_, strerror(errno));
  GRAFT_CHECK(S_ISREG(info.st_mode), "{}: is {}, not a file", name_,
              S_ISDIR(info.st_mode) ? "a folder" : "a device or a pipe");
  size_ = info.st_size;
}

void InputFile::read(int64_t offset, void* to, size_t bytes) const {
  char* at = static_cast<char*>(to);
  while (bytes > 0) {
    ssize_t n = retried([&] { return ::pread(fd_.get(), at, bytes, offset); });
    if (n < 0) fail(Fault::io, "{}: cannot read at offset {}: {}", name_, offset, strerror(errno));
    GRAFT_CHECK(n > 0,
                "{}: ends at offset {} where {} more bytes should be: it was cut, get it "
                "again",
                name_, offset, bytes);
    at += n, offset += n, bytes -= size_t(n);
  }
}

std::string read_text(const std::filesystem::path& path, int64_t most) {
  InputFile file(path);
  GRAFT_CHECK(file.size() <= most, "{}: has {} bytes; at most {} are read", file.name(), file.size(),
              most);
  std::string text(size_t(file.size()), '\0');
  file.read(0, text.data(), text.size());
  return text;
}

AtomicFile::AtomicFile(const fs::path& target)
    : target_(behind_link(target)), name_(escaped(target.string())) {
  struct stat info;
  bool special = ::stat(target_.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  if (special || !target_.has_filename())
    fail(Fault::cant_create, "{}: is a folder or a device; give the name of a file", name_);
  temporary_ = fresh_temporary(target_);
  fd_ = Descriptor(::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (fd_.get() < 0) fail(fault_of_output(errno), "{}: cannot create: {}", name_, strerror(errno));
  locked_by_another(fd_.get());  // it is new: from now on locked by this one
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::failed(const char* what, int error) const {
  bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  fail(Fault::io, "{}: cannot {}: {}{}; an older file of this name is untouched", name_, what,
       strerror(error), full ? " (make room or choose another folder)" : "");
}

void AtomicFile::append(const void* data, size_t bytes) { write_at(size_, data, bytes); }

void AtomicFile::write_at(int64_t offset, const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    ssize_t n = retried([&] { return ::pwrite(fd_.get(), at, bytes, offset); });
    if (n < 0) failed("write", errno);
    if (n == 0) failed("write", ENOSPC);
    at += n, offset += n, bytes -= size_t(n);
    size_ = std::max(size_, offset);
  }
}

void AtomicFile::read_at(int64_t offset, void* to, size_t bytes) const {
  char* at = static_cast<char*>(to);
  while (bytes > 0) {
    ssize_t n = retried([&] { return ::pread(fd_.get(), at, bytes, offset); });
    if (n <= 0) failed("read back", n < 0 ? errno : EIO);
    at += n, offset += n, bytes -= size_t(n);
  }
}

void AtomicFile::resize(int64_t bytes) {
  if (retried([&] { return ::ftruncate(fd_.get(), bytes); }) != 0) failed("resize", errno);
  size_ = bytes;
}

// The target never vanishes: its second name is made first, then takes the place of `previous`.
void AtomicFile::keep_as(const fs::path& previous) {
  fs::path second = fresh_temporary(previous);
  if (::link(target_.c_str(), second.c_str()) == 0) {
    if (::rename(second.c_str(), previous.c_str()) == 0) {
      ::unlink(second.c_str());  // still there when both were one file already
      return;
    }
    int error = errno;
    ::unlink(second.c_str());
    failed("keep the previous file", error);
  }
  if (errno == ENOENT) return;                           // no target yet
  if (::rename(target_.c_str(), previous.c_str()) != 0)  // a file system without hard links
    failed("keep the previous file", errno);
}

// A failed fsync is not tried again: the kernel may have dropped the data and forgotten so.
void AtomicFile::commit(const fs::path& previous) {
  if (::fsync(fd_.get()) != 0) failed("sync", errno);
  if (fd_.close() != 0) failed("close", errno);
  if (!previous.empty()) keep_as(previous);
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) failed("rename", errno);
  temporary_.clear();
  sync_folder(folder_of(target_));
}

void make_writable_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  std::error_code ignored;
  if (error && !fs::is_directory(folder, ignored))
    fail(fault_of_output(error.value()), "{}: cannot make the folder: {}", escaped(folder.string()),
         error.message());
  AtomicFile probe(folder / "probe");
  probe.append("graft", 5);
}

void remove_leftovers(const fs::path& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    std::optional<pid_t> pid = writer_of(entry.path().filename().string());
    if (!pid || ::kill(*pid, 0) == 0 || errno != ESRCH) continue;
    Descriptor fd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (fd.get() >= 0 && !locked_by_another(fd.get())) fs::remove(entry.path(), ignored);
  }
}

RunLock::RunLock(const fs::path& folder) {
  fs::path path = folder / ".lock";
  std::string name = escaped(folder.string());
  fd_ = Descriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (fd_.get() < 0)
    fail(fault_of_output(errno), "{}: cannot create .lock: {}", name, strerror(errno));
  if (retried([&] { return ::flock(fd_.get(), LOCK_EX | LOCK_NB); }) == 0) return;
  if (errno != EWOULDBLOCK) fail(Fault::io, "{}: cannot lock: {}", name, strerror(errno));
  fail(Fault::temporary,
       "{}: another graft is working in this folder; wait for it, or choose "
       "another --out",
       name);
}

}  // namespace graft
