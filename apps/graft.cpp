// The program: one command of several, each in a file of its own. The library throws, and this is
// the one place that catches, says what went wrong, and leaves with the exit code of its kind.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <fcntl.h>
#include <new>
#include <sys/prctl.h>
#include <unistd.h>

#include "apps/command.h"
#include "core/check.h"
#include "core/text.h"
#include "kernels/conv2d.h"
#include "kernels/runtime.h"

namespace {

using namespace graft;
using namespace graft::app;

// "--lrr: unknown option; the nearest are --lr, ..." from the options of the command in use.
std::string unknown_words(const CLI::App& program, const std::vector<std::string>& words) {
  const CLI::App* command = &program;
  for (const CLI::App* used : program.get_subcommands()) command = used;
  std::vector<std::string> names;
  bool option = words[0].starts_with("-");
  if (option)
    for (const CLI::Option* o : command->get_options()) names.push_back(o->get_name());
  else
    for (const CLI::App* c : program.get_subcommands({})) names.push_back(c->get_name());
  std::string kind = option ? "option" : command == &program ? "command" : "argument";
  if (!option && command != &program) return fmt::format("unexpected argument '{}'", words[0]);
  return fmt::format("unknown {} '{}'; the nearest are {}", kind, words[0],
                     enumerate(nearest_names(words[0], names)));
}

const CLI::Option* option_named(const CLI::App& command, const std::string& word) {
  return word.starts_with("-") ? command.get_option_no_throw(word) : nullptr;
}

// "--data --epochs 3" lacks a folder; the parser would take "--epochs" for its name.
void require_values(const CLI::App& program, int argc, char** argv) {
  const CLI::App* command = nullptr;
  for (const CLI::App* c : program.get_subcommands({}))
    if (argc > 1 && c->get_name() == argv[1]) command = c;
  for (int i = 2; command && i < argc && std::string(argv[i]) != "--"; ++i) {
    const CLI::Option* option = option_named(*command, argv[i]);
    if (!option || option->get_expected_min() == 0) continue;
    const CLI::Option* next = i + 1 < argc ? option_named(*command, argv[i + 1]) : nullptr;
    if (i + 1 < argc && !next) continue;
    fail(Fault::usage, "{}: its value is missing{}; it takes {}", argv[i],
         next ? fmt::format(", the option {} follows", argv[i + 1]) : "", option->get_type_name());
  }
}

int refuse(const std::string& message, int code) {
  say("graft: " + message);
  return code;
}

// A closed stdin, stdout or stderr would give its number to the first file that is opened.
void keep_standard_streams() {
  while (true) {
    int fd = open("/dev/null", O_RDONLY);  // writing there fails, as it should
    if (fd > STDERR_FILENO || fd < 0) {
      if (fd >= 0) close(fd);
      return;
    }
  }
}

// oneDNN falls back to loops that are hundreds of times slower without a word; say it: before the
// work for the usual kernels, after it for those that this network picked.
class KernelReport {
 public:
  KernelReport() {
    cpu::probe_conv2d();
    report();
  }
  ~KernelReport() { report(); }

 private:
  void report() {
    const std::vector<std::string> lines = cpu::reference_implementations();
    for (; reported_ < lines.size(); ++reported_)
      say("warning: this processor has only a slow reference kernel for " + lines[reported_]);
  }
  size_t reported_ = 0;
};

int run(int argc, char** argv) {
  CLI::App program("graft: transfer learning on photographs. Take a trained network, graft a new "
                   "head onto it, freeze what your data cannot teach, train the rest.", "graft");
  program.require_subcommand(1);
  program.set_help_all_flag("--help-all", "Help of every command");
  program.set_version_flag("--version", std::string("graft ") + GRAFT_VERSION);
  std::vector<std::pair<CLI::App*, Run>> commands;
  for (auto add : {add_train, add_eval, add_predict, add_inspect, add_convert, add_soup, add_verify, add_models,
                   add_pull, add_kernels, add_demo}) {
    Run command = add(program);
    commands.emplace_back(program.get_subcommands({}).back(), std::move(command));
  }
  require_values(program, argc, argv);
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help, --version
    std::ostringstream text;
    program.exit(e, text, text);
    print(text.str());
    return 0;
  } catch (const CLI::ExtrasError&) {
    std::vector<std::string> words = program.remaining(true);
    return refuse(unknown_words(program, words) + "; see graft --help", 64);
  } catch (const CLI::ArgumentMismatch& e) {
    std::string what = e.what();
    return refuse(what.substr(0, what.find(':')) + ": given more than once; once is enough", 64);
  } catch (const CLI::ParseError& e) {
    std::vector<std::string> words = program.remaining(true);
    if (!words.empty()) return refuse(unknown_words(program, words) + "; see graft --help", 64);
    return refuse(std::string(e.what()) + "; see graft --help", 64);
  }
  KernelReport report;
  for (auto& [command, run] : commands)
    if (command->parsed()) return run();
  return 64;
}


// libgomp reads its settings before main. By default an idle compute thread spins for milliseconds,
// which takes the core from our own decoding threads and from every other program; a tenth of that
// is as fast on a quiet machine and, measured, twice as fast on a busy one.
void spin_briefly(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  setenv("GOMP_SPINCOUNT", "10000", 1);
  execv("/proc/self/exe", argv);  // where that fails, all works as it is
}

}  // namespace

int main(int argc, char** argv) {
  spin_briefly(argv);
  prctl(PR_SET_NAME, "graft");  // not "exe"
  keep_standard_streams();
  catch_signals();
  try {
    return run(argc, argv);
  } catch (const Error& e) {
    return refuse(e.what(), int(e.fault));
  } catch (const cuda::OutOfMemory& e) {
    return refuse(std::string(e.what()) + "; try a smaller --batch", int(Fault::os));
  } catch (const cuda::DeviceError& e) {
    return refuse(std::string("the CUDA device failed: ") + e.what(), int(Fault::unavailable));
  } catch (const std::bad_alloc&) {
    return refuse("out of memory; try a smaller --batch", int(Fault::os));
  } catch (const std::exception& e) {
    return refuse(std::string("internal error: ") + e.what(), int(Fault::internal));
  }
}
