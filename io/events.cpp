#include "io/events.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/check.h"
#include "io/source_file.h"

namespace graft {
namespace {

// Bytes that the first `keep` whole lines take.
int64_t length_of_lines(const std::filesystem::path& path, int64_t keep) {
  Bytes bytes = read_source(path.string());
  auto end = bytes.begin();
  for (int64_t i = 0; i < keep; ++i) {
    auto newline = std::find(end, bytes.end(), '\n');
    if (newline == bytes.end()) break;
    end = newline + 1;
  }
  return end - bytes.begin();
}

}  // namespace

EventLog::EventLog(const std::filesystem::path& path, int64_t keep)
    : name_(escaped(path.string())),
      fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666)) {
  if (fd_.get() < 0)
    fail(fault_of_errno(errno, Fault::cant_create), "{}: cannot open: {}", name_, strerror(errno));
  if (::ftruncate(fd_.get(), length_of_lines(path, keep)) != 0)
    fail(Fault::io, "{}: cannot cut to {} lines: {}", name_, keep, strerror(errno));
}

void EventLog::append(const std::string& json) {
  GRAFT_CHECK(json.find('\n') == json.npos, "{}: an event must be one line", name_);
  std::string line = json + "\n";
  for (size_t at = 0; at < line.size();) {
    ssize_t n = ::write(fd_.get(), line.data() + at, line.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(Fault::io, "{}: cannot write: {}", name_, strerror(n ? errno : ENOSPC));
    at += size_t(n);
  }
  if (::fdatasync(fd_.get()) != 0 && errno != EINVAL)
    fail(Fault::io, "{}: cannot sync: {}", name_, strerror(errno));
}

}  // namespace graft
