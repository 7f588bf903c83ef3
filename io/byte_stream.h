// Bytes in order through a small buffer: from a part of a file, a member of an archive, memory.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "core/check.h"
#include "io/file.h"

namespace graft {

class ByteStream {
 public:
  // Fetches the next bytes, all of them, or throws Error.
  using Pull = std::function<void(char* to, size_t bytes)>;

  ByteStream(std::string name, int64_t size, Pull pull);
  // Bytes [begin, end) of a file; both outlive the stream.
  static ByteStream of(const InputFile& file, int64_t begin, int64_t end);
  static ByteStream of(std::string name, std::string_view memory);

  const std::string& name() const { return name_; }  // fit for a message
  int64_t position() const { return position_; }     // bytes that were read
  int64_t left() const { return size_ - position_; }
  void read(void* to, size_t bytes);  // throws Fault::data when fewer are left
  template <class T>
  T number() {  // little-endian
    T value;
    read(&value, sizeof value);
    return value;
  }

 private:
  void fill();
  std::string name_;
  int64_t size_ = 0, position_ = 0;
  Pull pull_;
  std::string buffer_;
  size_t next_ = 0;  // in buffer_
};

}  // namespace graft
