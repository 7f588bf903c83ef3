#include "apps/progress.h"

#include <unistd.h>

#include "apps/command.h"
#include "layers/batch_norm.h"

namespace graft::app {
namespace {

constexpr const char* kClearLine = "\r\033[K";

struct Group {
  std::string name;
  int64_t layers = 0, parameters = 0, trained = 0;
  std::string norms;  // policies met
};

// "features.3.squeeze" belongs to "features.3", "layer1.0.conv1" to "layer1".
std::string group_of(const std::string& path) {
  size_t dot = path.find('.');
  std::string first = path.substr(0, dot);
  if (dot == path.npos || (first != "features" && first != "classifier")) return first;
  return path.substr(0, path.find('.', dot + 1));
}

std::vector<Group> groups(Classifier& model) {
  std::vector<Group> all;
  auto group = [&](const std::string& path) -> Group& {
    std::string name = group_of(path);
    if (all.empty() || all.back().name != name) all.push_back({name});
    return all.back();
  };
  for (const FreezeRow& row : freeze_table(model)) {
    Group& g = group(row.layer);
    ++g.layers;
    g.parameters += row.parameters;
    g.trained += row.trained;
  }
  each_module(model, [&](const std::string& path, Module& m) {
    auto* norm = dynamic_cast<BatchNorm2d*>(&m);
    if (!norm) return;
    for (Group& g : all) {
      std::string policy = name_of(norm->policy());
      if (g.name == group_of(path) && g.norms.find(policy) == g.norms.npos)
        g.norms += (g.norms.empty() ? "" : "+") + policy;
    }
  });
  return all;
}

}  // namespace

std::string plan_table(Classifier& model) {
  std::string text = fmt::format("  {:<14} {:>6} {:>12}  {:<8} {}\n", "layer", "parts", "parameters",
                                 "", "norm policy");
  for (const Group& g : groups(model)) {
    const char* state = g.trained == 0 ? "frozen" : g.trained == g.parameters ? "trained" : "partly";
    text += fmt::format("  {:<14} {:>6} {:>12}  {:<8} {}\n", g.name, g.layers, g.parameters, state,
                        g.norms);
  }
  return text;
}

void show_plan(Classifier& model, const std::string& plan, int64_t train_images, int64_t val_images) {
  int64_t all = parameter_count(model), trained = parameter_count(model, true);
  say(fmt::format("{} on {} images, {} to validate; --freeze {}", model.architecture, train_images,
                  val_images, plan));
  std::string table = plan_table(model);
  table.pop_back();
  say(table);
  say(fmt::format("  trained {} of {} parameters", trained, all));
}

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO)) {}

void ProgressLine::update(int64_t epoch, int64_t epochs, int64_t batch, int64_t batches,
                          double loss) {
  if (!terminal_ || now() - last_ < 0.1) return;
  last_ = now();
  constexpr int64_t kWidth = 30;
  int64_t filled = batches ? kWidth * batch / batches : 0;
  std::string text = fmt::format("{}epoch {:3}/{}  [{:=<{}}{: <{}}]  loss {:.4f}", kClearLine, epoch,
                                 epochs, "", filled, "", kWidth - filled, loss);
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

void ProgressLine::finish(const std::string& line) { say((terminal_ ? kClearLine : "") + line); }

BadImages::~BadImages() {
  for (const BadFile& bad : loader_.bad_files()) say("skipped: " + bad.message);
}

}  // namespace graft::app
