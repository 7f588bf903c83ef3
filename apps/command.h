// What all commands share: their common options, strict numbers, signals, and where output goes.
// A command prints its result on stdout, as one JSON document with --json, and everything else on
// stderr. It leaves with an exit code of sysexits.h.
#pragma once
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace CLI {
class App;
}

namespace graft::app {

using Json = nlohmann::ordered_json;

struct Common {
  bool json = false;
  std::string device = "auto";
  int threads = 0;  // 0: as many as there are cores
  uint64_t seed = 0;
};

// Adds --json, --device, --threads and --seed.
void add_common(CLI::App& command, Common& common);
// Sets the compute threads; to be called before any kernel runs. apps/place.h is for the device.
void apply(const Common& common);

// Numbers are read strictly ("12abc", "0x10", "1,5", "nan" are refused) and must lie in a range,
// which stands in the help and in the refusal.
void add_number(CLI::App& command, const std::string& name, double& value, double low, double high,
                const std::string& help);
void add_integer(CLI::App& command, const std::string& name, int64_t& value, int64_t low,
                 int64_t high, const std::string& help);
void add_integer(CLI::App& command, const std::string& name, int& value, int low, int high,
                 const std::string& help);

// --until STAGE, and what it makes of --model: "resnet50:layer3", ":layer3" without one.
void add_until(CLI::App& command, std::string& until);
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
