// Files that appear whole or not at all, and reading that notices when a file ends early.
// InputFile reads with pread, never a memory map: a file cut meanwhile is an Error, not a signal.
// The program must ignore SIGXFSZ, or a file-size limit kills it before an Error can be thrown.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace graft {

class Descriptor {  // owns a file descriptor
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept;
  int get() const { return fd_; }
  int close();  // what close(2) returns

 private:
  int fd_;
};

class InputFile {  // a regular file, open for reading
 public:
  explicit InputFile(const std::filesystem::path& path);
  InputFile(std::string name, Descriptor file);  // one that is open already
  int64_t size() const { return size_; }                    // when it was opened
  const std::string& name() const { return name_; }         // fit for a message
  void read(int64_t offset, void* to, size_t bytes) const;  // all of them or throws

 private:
  void measure();
  std::string name_;
  Descriptor fd_;
  int64_t size_ = 0;
};

// A whole file as text; refuses one of more than `most` bytes.
std::string read_text(const std::filesystem::path& path, int64_t most);

// A file under construction: a temporary in the same folder, which commit() syncs and renames to
// its target. Without commit(), or after any failure, it is removed and the old target stays.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::string& name() const { return name_; }  // the target's, fit for a message
  int64_t size() const { return size_; }
  void append(const void* data, size_t bytes);
  void write_at(int64_t offset, const void* data, size_t bytes);
  void read_at(int64_t offset, void* to, size_t bytes) const;
  void resize(int64_t bytes);
  // An older target is kept under the name `previous`, when that is given.
  void commit(const std::filesystem::path& previous = {});

 private:
  void keep_as(const std::filesystem::path& previous);
  [[noreturn]] void failed(const char* what, int error) const;
  std::filesystem::path target_, temporary_;
  std::string name_;
  Descriptor fd_;
  int64_t size_ = 0;
};

// Makes the folder, with those above it, and proves by a probe that files can be written there.
void make_writable_folder(const std::filesystem::path& folder);

// Removes temporaries that dead writers left in `folder`: no process here has the number in their
// name, and none anywhere, in another container that shares the folder for instance, has them locked.
void remove_leftovers(const std::filesystem::path& folder);

// One process per run folder, for the life of this object; a second one gets Fault::temporary.
class RunLock {
 public:
  explicit RunLock(const std::filesystem::path& folder);

 private:
  Descriptor fd_;
};

}  // namespace graft
