#include "apps/run_folder.h"

#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "core/check.h"

namespace graft::app {
namespace {

const std::string kSolution = "solution.";

std::filesystem::path writable(const std::filesystem::path& folder) {
  make_writable_folder(folder);
  return folder;
}

int64_t integer(const Checkpoint& c, const std::string& name) {
  auto found = c.integers.find(name);
  GRAFT_CHECK(found != c.integers.end(), "checkpoint: '{}' is missing", name);
  return found->second;
}

double number(const Checkpoint& c, const std::string& name) {
  auto found = c.numbers.find(name);
  GRAFT_CHECK(found != c.numbers.end(), "checkpoint: '{}' is missing", name);
  return found->second;
}

}  // namespace

RunFolder::RunFolder(const std::filesystem::path& folder)
    : folder_(writable(folder)), lock_(folder) {
  remove_leftovers(folder);
}

bool RunFolder::has_checkpoint(const std::filesystem::path& folder) {
  std::filesystem::path newest = folder / "checkpoint.h5";
  std::error_code ignored;
  return std::filesystem::exists(newest, ignored) ||
         std::filesystem::exists(previous_checkpoint(newest), ignored);
}

bool RunFolder::save(const std::filesystem::path& path, const std::function<void()>& write) {
  try {
    std::error_code ignored;
    std::filesystem::create_directories(folder_, ignored);  // somebody may have removed it
    write();
    failed_.erase(path);
    return true;
  } catch (const std::exception& e) {
    say(std::string("graft: warning: ") + e.what() + "; training goes on, the earlier " +
        printable(path.filename().string()) + " is kept");
    failed_.insert(path);
    return false;
  }
}

// A killed run may have left fewer lines than its checkpoint has epochs, or more.
void RunFolder::open_events(const std::vector<EpochRecord>& history) {
  std::string lines;
  for (const EpochRecord& r : history) lines += event_of(r) + "\n";
  AtomicFile file(folder_ / "events.jsonl");
  file.append(lines.data(), lines.size());
  file.commit();
  events_ = std::make_unique<EventLog>(folder_ / "events.jsonl");
}

void RunFolder::log(const std::string& json) {
  save("events.jsonl", [&] { events_->append(json); });
}

std::string event_of(const EpochRecord& r) {
  Json event{{"epoch", r.epoch}, {"train_loss", r.train_loss}, {"val_loss", r.val_loss},
             {"val_accuracy", r.val_accuracy}, {"seconds", r.seconds}};
  if (!r.phase.empty()) event["phase"] = r.phase;
  return event.dump();
}

void put_progress(Checkpoint& c, const Progress& p) {
  c.integers["phase"] = p.phase;
  c.integers["epoch"] = p.epoch;
  c.integers["batch"] = p.batch;
  c.integers["step"] = p.step;
  c.integers["images"] = p.images;
  c.integers["trained_images"] = p.trained_images;
  c.integers["good_steps"] = p.loss_scale.good_steps;
  c.numbers["loss_scale"] = p.loss_scale.value;
  c.numbers["loss_sum"] = p.loss_sum;
  c.numbers["best_accuracy"] = p.best_accuracy;
  c.numbers["train_seconds"] = p.train_seconds;
  c.numbers["eval_seconds"] = p.eval_seconds;
  for (auto& [name, value] : p.solution) c.numbers[kSolution + name] = value;
  c.history.clear();
  for (const EpochRecord& r : p.history) c.history.push_back(event_of(r));
}

Progress get_progress(const Checkpoint& c) {
  Progress p;
  if (c.integers.contains("phase")) p.phase = integer(c, "phase");  // earlier programs had none
  p.epoch = integer(c, "epoch");
  p.batch = integer(c, "batch");
  p.step = integer(c, "step");
  p.images = integer(c, "images");
  p.trained_images = integer(c, "trained_images");
  p.loss_scale = {number(c, "loss_scale"), integer(c, "good_steps")};
  p.loss_sum = number(c, "loss_sum");
  p.best_accuracy = number(c, "best_accuracy");
  p.train_seconds = number(c, "train_seconds");
  p.eval_seconds = number(c, "eval_seconds");
  for (auto& [name, value] : c.numbers)
    if (name.starts_with(kSolution)) p.solution[name.substr(kSolution.size())] = value;
  for (const std::string& line : c.history) {
    Json r = Json::parse(line);
    p.history.push_back({r["epoch"], r["train_loss"], r["val_loss"], r["val_accuracy"],
                         r["seconds"], r.value("phase", "")});
  }
  return p;
}

}  // namespace graft::app
