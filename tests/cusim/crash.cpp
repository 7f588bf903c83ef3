#include "tests/cusim/crash.h"

#include <signal.h>

#include <cstdio>
#include <cstdlib>

#include "tests/cusim/cusim.h"

namespace cusim {
namespace {

// Guard pages make of every access beside an array a fault; here it gets the thread's name.
[[maybe_unused]] void on_fault(int signal_number, siginfo_t* info, void*) {
  signal(signal_number, SIG_DFL);
  if (in_kernel()) fail("access to %p, beside every array", info->si_addr);
  raise(signal_number);
}

}  // namespace

void name_faults() {
#ifndef __SANITIZE_ADDRESS__  // which has a better handler
  static bool done = false;
  if (done) return;
  done = true;
  static char stack[64 << 10];  // the fault may be a fiber's stack that has run over
  const stack_t alternative{.ss_sp = stack, .ss_flags = 0, .ss_size = sizeof stack};
  sigaltstack(&alternative, nullptr);
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
#endif
}

}  // namespace cusim
