// What all commands share: their common options, strict numbers, signals, and where output goes.
// A command prints its result on stdout, as one JSON document with --json, and everything else on
// stderr. It leaves with an exit code of sysexits.h.
#pragma once
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace graft::app {

using Json = nlohmann::ordered_json;

// A command of the program and the options it has. CLI11 stands behind it, included by command.cpp
// and graft.cpp alone: it takes longer to compile than all else in a file.
class Command {
 public:
  Command(CLI::App& program, const std::string& name, const std::string& description);

  // Without leading dashes a name is that of an argument. The help shows the value that is there as
  // the default. "--a,--b" are two names of one option.
  void text(const std::string& name, std::string& value, const std::string& help);
  void required(const std::string& name, std::string& value, const std::string& help);
  void required(const std::string& name, std::vector<std::string>& values, const std::string& help);
  void repeated(const std::string& name, std::vector<std::string>& values, const std::string& help);
  void one_of(const std::string& name, std::string& value, const std::vector<std::string>& known,
              const std::string& help);
  void flag(const std::string& name, bool& value, const std::string& help);
  // Numbers are read strictly ("12abc", "0x10", "1,5", "nan" are refused) and must lie in a range,
  // which stands in the help and in the refusal.
  void number(const std::string& name, double& value, double low, double high,
              const std::string& help);
  void integer(const std::string& name, int64_t& value, int64_t low, int64_t high,
               const std::string& help);
  void integer(const std::string& name, int& value, int low, int high, const std::string& help);
  void integer(const std::string& name, uint64_t& value, uint64_t low, uint64_t high,
               const std::string& help);

  void group(const std::string& title, const std::string& name);  // where help shows an option
  void footer(const std::string& examples);
  bool given(const std::string& name) const;  // on the command line, once that was read

 private:
  CLI::App* app_;  // the program's
};

struct Common {
  bool json = false;
  std::string device = "auto";
  int threads = 0;  // 0: as many as there are cores
  uint64_t seed = 0;
};

// Adds --json, --device, --threads and --seed.
void add_common(Command& command, Common& common);
// Sets the compute threads; to be called before any kernel runs. apps/place.h is for the device.
void apply(const Common& common);

// --until STAGE, and what it makes of --model: "resnet50:layer3", ":layer3" without one.
void add_until(Command& command, std::string& until);
std::string network_option(const std::string& model, const std::string& until);

void say(const std::string& line);      // to stderr, with a newline
void print(const std::string& text);    // to stdout; throws Fault::io when it cannot be written
void print(const Json& document);

// SIGINT and SIGTERM end the program with 130 and 143: at once, or, after defer_signals(), when
// whoever asks stop_signal() comes round to it; a second one ends it at once all the same.
void catch_signals();
void defer_signals();
int stop_signal();  // 0, or the number of the signal that asked to stop

std::string printable(const std::string& text);  // escapes what a terminal would act on
std::vector<std::string> printable(std::vector<std::string> texts);
int64_t peak_rss_mb();
double seconds_since_start();             // of the process
double now();                             // seconds, monotonic

// Every command registers itself on the program and returns what runs it: -> exit code.
using Run = std::function<int()>;
Run add_train(CLI::App& program);
Run add_eval(CLI::App& program);
Run add_predict(CLI::App& program);
Run add_inspect(CLI::App& program);
Run add_convert(CLI::App& program);
Run add_models(CLI::App& program);
Run add_pull(CLI::App& program);
Run add_soup(CLI::App& program);
Run add_verify(CLI::App& program);
Run add_kernels(CLI::App& program);
Run add_demo(CLI::App& program);

}  // namespace graft::app
