#include "apps/command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>
#include <time.h>
#include <unistd.h>

#include "core/check.h"
#include "io/source_file.h"
#include "kernels/parallel.h"

namespace graft::app {
namespace {

std::atomic<int> caught{0};
std::atomic<bool> deferred{false};

void on_signal(int signal) {
  if (caught.exchange(signal) || !deferred) _exit(128 + signal);
}

template <class Number>
void parse_number(const std::string& name, const std::string& text, Number low, Number high,
                  Number& value) {
  Number parsed{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  bool whole = error == std::errc() && end == text.data() + text.size() && !text.empty();
  if (!whole || !(parsed >= low && parsed <= high))
    fail(Fault::usage, "{}: '{}' is not a number from {} to {}", name, text, low, high);
  value = parsed;
}

template <class Number>
void add_strict(CLI::App& app, const std::string& name, Number& value, Number low, Number high,
                const std::string& help) {
  auto parse = [&value, low, high, name](const std::string& text) {
    parse_number(name, text, low, high, value);
  };
  CLI::Option* option = app.add_option_function<std::string>(name, parse, help);
  option->default_str(fmt::format("{}", value));
  if (high < std::numeric_limits<Number>::max())
    option->type_name(fmt::format("[{}, {}]", low, high));
}

}  // namespace

Command::Command(CLI::App& program, const std::string& name, const std::string& description)
    : app_(program.add_subcommand(name, description)) {}

void Command::text(const std::string& name, std::string& value, const std::string& help) {
  app_->add_option(name, value, help)->capture_default_str();
}

void Command::required(const std::string& name, std::string& value, const std::string& help) {
  app_->add_option(name, value, help)->required();
}

void Command::required(const std::string& name, std::vector<std::string>& values,
                       const std::string& help) {
  app_->add_option(name, values, help)->required();
}

void Command::repeated(const std::string& name, std::vector<std::string>& values,
                       const std::string& help) {
  app_->add_option(name, values, help)
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void Command::one_of(const std::string& name, std::string& value,
                     const std::vector<std::string>& known, const std::string& help) {
  app_->add_option(name, value, help)->check(CLI::IsMember(known))->capture_default_str();
}

void Command::flag(const std::string& name, bool& value, const std::string& help) {
  app_->add_flag(name, value, help);
}

void Command::number(const std::string& name, double& value, double low, double high,
                     const std::string& help) {
  add_strict(*app_, name, value, low, high, help);
}

void Command::integer(const std::string& name, int64_t& value, int64_t low, int64_t high,
                      const std::string& help) {
  add_strict(*app_, name, value, low, high, help);
}

void Command::integer(const std::string& name, int& value, int low, int high,
                      const std::string& help) {
  add_strict(*app_, name, value, low, high, help);
}

void Command::integer(const std::string& name, uint64_t& value, uint64_t low, uint64_t high,
                      const std::string& help) {
  add_strict(*app_, name, value, low, high, help);
}

void Command::group(const std::string& title, const std::string& name) {
  app_->get_option(name)->group(title);
}

void Command::footer(const std::string& examples) { app_->footer(examples); }

bool Command::given(const std::string& name) const { return app_->count(name) > 0; }

void add_common(Command& command, Common& common) {
  command.flag("--json", common.json, "Print one JSON document on stdout");
  command.text("--device", common.device, "auto, cpu or cuda");
  command.integer("--threads", common.threads, 0, 1024, "Compute threads; 0: one per core");
  command.integer("--seed", common.seed, 0, UINT64_MAX, "Where all random numbers come from");
}

void add_until(Command& command, std::string& until) {
  command.text("--until", until,
               "End the trunk after this stage (layer1, layer2 or layer3 of a ResNet)");
}

std::string network_option(const std::string& model, const std::string& until) {
  const size_t head = std::min(model.find('+'), model.size());  // "resnet50+cosine"
  return until.empty() ? model : model.substr(0, head) + ":" + until + model.substr(head);
}

void apply(const Common& common) {
  if (common.device != "auto" && common.device != "cpu" && common.device != "cuda")
    fail(Fault::usage, "--device: '{}' is unknown; use auto, cpu or cuda", common.device);
  unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  cpu::set_thread_count(common.threads > 0 ? common.threads : int(cores));
}

void say(const std::string& line) {
  std::string text = line + "\n";
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

void print(const std::string& text) {
  std::string line = text + "\n";
  for (size_t at = 0; at < line.size();) {
    ssize_t written = ::write(STDOUT_FILENO, line.data() + at, line.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(Fault::io, "stdout: cannot write: {}", std::strerror(errno));
    at += size_t(written);
  }
}

void print(const Json& document) {
  print(document.dump(2, ' ', false, Json::error_handler_t::replace));
}

int stop_signal() { return caught.load(); }

void defer_signals() { deferred = true; }

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // writing fails with EPIPE instead
  std::signal(SIGXFSZ, SIG_IGN);  // likewise with EFBIG
}

std::string printable(const std::string& text) { return escaped(text); }

std::vector<std::string> printable(std::vector<std::string> texts) {
  for (std::string& text : texts) text = escaped(text);
  return texts;
}

// VmHWM is this program's own; ru_maxrss counts what the process was before exec, too.
int64_t peak_rss_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::atoll(line.c_str() + 6) / 1024;
  return 0;
}

double now() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

double seconds_since_start() {  // field 22 of /proc/self/stat: start, in ticks since boot
  std::ifstream stat("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(stat)), {});
  size_t at = text.rfind(')');
  if (at == text.npos) return 0;
  std::istringstream fields(text.substr(at + 2));
  std::string field;
  for (int i = 0; i < 20; ++i) fields >> field;
  timespec boot{};
  clock_gettime(CLOCK_BOOTTIME, &boot);
  double ticks = std::strtod(field.c_str(), nullptr) / double(sysconf(_SC_CLK_TCK));
  return double(boot.tv_sec) + double(boot.tv_nsec) * 1e-9 - ticks;
}

}  // namespace graft::app
