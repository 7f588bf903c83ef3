#include "io/hdf5_trial.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include "core/check.h"
#include "io/file.h"

namespace graft::hdf5 {
namespace {

bool child = false;

constexpr rlim_t kMemory = rlim_t(512) << 20;  // bytes that reading may take; it takes some 10 MB

void limit(__rlimit_resource what, rlim_t most) {
  rlimit both{most, most};
  ::setrlimit(what, &both);
}

rlim_t bytes_mapped() {  // 0: not known
  rlim_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * rlim_t(::sysconf(_SC_PAGESIZE));
}

rlim_t peak_bytes() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  return rlim_t(use.ru_maxrss) * 1024;
}

// Nothing that the parent set up for itself may act here: no handlers, no core file, no last words
// of the allocator on stderr.
void detach(int seconds) {
  child = true;
  for (int fatal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU}) ::signal(fatal, SIG_DFL);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, rlim_t(seconds));
  if (rlim_t mapped = bytes_mapped()) limit(RLIMIT_AS, mapped + kMemory);
  int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere >= 0) ::dup2(nowhere, STDERR_FILENO);
}

[[noreturn]] void run_child(int report, const std::function<void()>& read, int seconds) {
  detach(seconds);
  rlim_t before = peak_bytes();
  try {
    read();
  } catch (...) {  // the parent will meet it again
  }
  if (peak_bytes() - before > kMemory / 2) ::_exit(1);  // an endless list: the limit ended it
  char survived = 1;
  ::_exit(::write(report, &survived, 1) == 1 ? 0 : 1);
}

// Whether the child wrote its byte before the pipe was closed; a program may reap children itself.
bool survived(const Descriptor& pipe, pid_t pid) {
  char byte = 0;
  ssize_t n;
  while ((n = ::read(pipe.get(), &byte, 1)) < 0 && errno == EINTR) {
  }
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return n == 1;
}

}  // namespace

bool in_trial() { return child; }

void require_survival(const std::string& file, const std::function<void()>& read,
                      int seconds) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    fail(Fault::os, "{}: no pipe to read it safely: {}", file, std::strerror(errno));
  Descriptor in(ends[0]), out(ends[1]);
  pid_t pid = ::fork();
  if (pid < 0) fail(Fault::os, "{}: no process to read it safely: {}", file, std::strerror(errno));
  if (pid == 0) run_child(out.get(), read, seconds);
  out.close();
  GRAFT_CHECK(survived(in, pid),
              "{}: damaged HDF5 file: the HDF5 library does not survive reading it; get it again",
              file);
}

}  // namespace graft::hdf5
