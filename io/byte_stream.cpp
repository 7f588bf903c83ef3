#include "io/byte_stream.h"

#include <algorithm>
#include <cstring>

namespace graft {
namespace {

constexpr int64_t kBuffer = 4096;  // bytes: pickles are read by ones, tensors pass it by

}  // namespace

ByteStream::ByteStream(std::string name, int64_t size, Pull pull)
    : name_(std::move(name)), size_(size), pull_(std::move(pull)) {}

ByteStream ByteStream::of(const InputFile& file, int64_t begin, int64_t end) {
  GRAFT_CHECK(0 <= begin && begin <= end && end <= file.size(),
              "{}: ends at {}, but its parts reach from {} to {}: it was cut, get it again",
              file.name(), file.size(), begin, end);
  return {file.name(), end - begin, [&file, begin](char* to, size_t bytes) mutable {
            file.read(begin, to, bytes);
            begin += int64_t(bytes);
          }};
}

ByteStream ByteStream::of(std::string name, std::string_view memory) {
  return {std::move(name), int64_t(memory.size()), [memory](char* to, size_t bytes) mutable {
            std::memcpy(to, memory.data(), bytes);
            memory.remove_prefix(bytes);
          }};
}

void ByteStream::fill() {
  buffer_.resize(size_t(std::min(kBuffer, left())));
  next_ = 0;
  pull_(buffer_.data(), buffer_.size());
}

void ByteStream::read(void* to, size_t bytes) {
  GRAFT_CHECK(bytes <= size_t(left()),
              "{}: ends after {} bytes where {} more should be: it was cut, get it again", name_,
              size_, bytes - size_t(left()));
  char* at = static_cast<char*>(to);
  while (bytes > 0) {
    if (next_ == buffer_.size() && bytes >= size_t(kBuffer)) {
      pull_(at, bytes);
      position_ += int64_t(bytes);
      return;
    }
    if (next_ == buffer_.size()) fill();
    size_t n = std::min(bytes, buffer_.size() - next_);
    std::memcpy(at, buffer_.data() + next_, n);
    at += n, next_ += n, bytes -= n, position_ += int64_t(n);
  }
}

}  // namespace graft
