#include "apps/train_checkpoint.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/phases.h"
#include "kernels/parallel.h"
#include "models/saved.h"

namespace graft::app {
namespace {

std::string fingerprint(const TrainRun& s) {
  return fmt::format("{:016x}{:016x}", s.data.train.fingerprint(), s.data.val.fingerprint());
}

}  // namespace

ModelFile model_file(TrainRun& s, bool with_golden) {
  ModelFile file = to_file(*s.model);
  file.freeze_plan = FreezePlan::parse(s.options.freeze).text();
  file.origin = s.origin;
  file.frozen_hashes = s.frozen_hashes;
  if (with_golden) file.golden = make_golden(*s.model);
  return file;
}

void save_checkpoint(TrainRun& s, RunFolder& run) {
  run.save(run.checkpoint(), [&] {
    Checkpoint c;
    c.model = model_file(s, false);
    c.optimizer = s.optimizer->state();
    c.text["options"] = s.options.to_json().dump();
    c.integers["threads"] = cpu::thread_count();
    c.text["data"] = fingerprint(s);
    c.text["cache"] = s.options.cache;
    c.integers["cache_limit"] = s.options.cache_limit;
    put_progress(c, s.progress);
    put_recipe(c, s);
    write_checkpoint(run.checkpoint(), c);
    std::error_code ignored;  // the previous one is of another run, which this one replaces
    if (s.replaces) std::filesystem::remove(previous_checkpoint(run.checkpoint()), ignored);
    s.replaces = false;
  });
}

void resume(TrainRun& s, const Checkpoint& c) {
  auto data = c.text.find("data");
  if (data == c.text.end() || data->second != fingerprint(s)) {
    if (!s.options.force)
      fail(Fault::data,
           "--resume: the images in {} are not those of the stopped run; put them "
           "back, or go on all the same with --force",
           printable(s.options.data));
    say("warning: --force: the images have changed since the run was stopped");
  }
  s.progress = get_progress(c);
  enter_phase(s);
  get_recipe(c, s);
  s.optimizer->load_state(c.optimizer, s.progress.step);
}

// Frozen means frozen: every hash after training must be what it was before. A phase may freeze
// more than the plan does.
void prove_frozen(TrainRun& s) {
  std::map<std::string, std::string> after = hash_frozen(*s.model);
  for (auto& [name, hash] : s.frozen_hashes) {
    if (after.at(name) != hash)
      fail(Fault::internal, "frozen tensor {} was changed by training; please report this", name);
  }
}

void restore_cache(TrainOptions& options, const Checkpoint& c, const Command& command) {
  auto cache = c.text.find("cache");
  if (!command.given("--cache") && cache != c.text.end()) options.cache = cache->second;
  auto limit = c.integers.find("cache_limit");
  if (!command.given("--cache-limit") && limit != c.integers.end())
    options.cache_limit = std::clamp<int64_t>(limit->second, 0, 1 << 24);
}

}  // namespace graft::app
