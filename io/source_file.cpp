#include "io/source_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/check.h"

namespace graft {
namespace {

class File {  // owns a descriptor
 public:
  explicit File(const std::string& path) : fd_(::open(path.c_str(), flags)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  static constexpr int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
  int fd_;
};

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

// Length of the valid UTF-8 sequence at the start of text, 0 when there is none.
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return uint8_t(text[i]); };
  uint8_t first = byte(0);
  if (first < 0x80) return 1;
  size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < n) return 0;
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  bool surrogate = first == 0xed && byte(1) > 0x9f;
  bool too_big = first == 0xf4 && byte(1) > 0x8f;
  return overlong || surrogate || too_big ? 0 : n;
}

}  // namespace

Bytes read_source(const std::string& path, int64_t max_bytes) {
  File file(path);
  auto failed = [&](const char* what) {
    int error = errno;
    if (error == ENXIO) fail(Fault::data, "{}: is a socket or a device, not a file", escaped(path));
    fail(fault_of_errno(error), "{}: cannot {}: {}", escaped(path), what, std::strerror(error));
  };
  if (file.fd() < 0) failed("open");
  struct stat info;
  if (::fstat(file.fd(), &info) != 0) failed("stat");
  if (!S_ISREG(info.st_mode)) {
    fail(Fault::data, "{}: is {}, not a file", escaped(path), kind_of(info.st_mode));
  }
  if (info.st_size > max_bytes) {
    fail(Fault::data, "{}: {} bytes, more than the limit of {}", escaped(path),
         int64_t(info.st_size), max_bytes);
  }
  Bytes bytes(size_t(info.st_size));
  size_t got = 0;
  while (got < bytes.size()) {
    ssize_t n = ::read(file.fd(), bytes.data() + got, bytes.size() - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) failed("read");
    if (n == 0) break;  // it became shorter while we read
    got += size_t(n);
  }
  bytes.resize(got);
  return bytes;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    uint8_t c = uint8_t(text[i]);
    size_t n = utf8_length(text.substr(i, 4));
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20 || c == 0x7f || n == 0) {
      out += fmt::format("\\x{:02x}", c);
    } else {
      out.append(text, i, n);
    }
    i += std::max<size_t>(n, 1);
  }
  return out;
}

}  // namespace graft
