#include "apps/train_cache.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace graft::app {
namespace {

double mb(int64_t bytes) { return double(bytes) / double(1 << 20); }

bool in_folder(const TrainOptions& o) {
  return o.cache != "auto" && o.cache != "off" && o.cache != "memory";
}

// Their sums of images are new in every step.
bool mixes(const TrainOptions& o) { return o.recipes.mixup > 0 || o.recipes.cutmix > 0; }

bool is_random(const TrainOptions& o) { return o.augment != "none" && o.head_solver == "sgd"; }

// Pictures of the training set that come again: one of each image, or its views; 0: they never do.
int64_t views_of(const TrainOptions& o) { return mixes(o) ? 0 : is_random(o) ? o.cache_views : 1; }

bool sees_images_once(const TrainOptions& o) { return o.head_solver != "sgd" || o.epochs <= 1; }

void say_off(const std::string& why) { say("feature cache: off, " + why); }

// What the kernel thinks is there for programs; without a limit where it does not say.
int64_t free_memory_mb() {
  std::ifstream lines("/proc/meminfo");
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("MemAvailable:")) return std::atoll(line.c_str() + 13) / 1024;
  return INT64_MAX >> 20;
}

// All of it is in memory, that of a folder too.
int64_t limit_mb(const TrainOptions& o) { return std::min(o.cache_limit, free_memory_mb()); }

std::string too_much(const TrainOptions& o, const Prefix& prefix, int64_t images) {
  const int64_t limit = limit_mb(o);
  return fmt::format("{:.1f} MB, more than {}", mb(images * prefix.bytes()),
                     limit == o.cache_limit ? fmt::format("--cache-limit {}", limit)
                                            : fmt::format("the {} MB of memory that are free", limit));
}

int64_t images_that_fit(const TrainOptions& o, const Prefix& prefix) {
  return (limit_mb(o) << 20) / prefix.bytes();
}

std::string why_not_to_train(const TrainOptions& o, const Prefix& prefix, const Split& data) {
  const int64_t train = int64_t(data.train.samples.size()), val = int64_t(data.val.samples.size());
  if (views_of(o) > 0) {
    const int64_t views = (images_that_fit(o, prefix) - val) / train;
    return fmt::format("; with {} to train it would be {}{}", train * views_of(o),
                       too_much(o, prefix, train * views_of(o) + val),
                       views > 0 ? fmt::format("; --cache-views {} fits", views) : "");
  }
  if (mixes(o)) return "; --mixup and --cutmix make other pixels in every step of training";
  return fmt::format("; --augment {} makes other pixels in every epoch of training (--cache-views 4 keeps "
                     "4 views of each image, which take turns)", o.augment);
}

// Nothing stays before the first step; where that is plain from the plan it need not be said.
bool is_plain(const TrainOptions& o) {
  return o.cache == "auto" && o.cache_views == 0 &&
         FreezePlan::parse(o.freeze).terms == std::vector<std::string>{"none"};
}

}  // namespace

void check_cache_options(const TrainOptions& o) {
  if (o.cache.empty())
    fail(Fault::usage, "--cache is empty; give a folder, or auto, off or memory");
  std::error_code ignored;
  if (std::filesystem::is_regular_file(o.cache, ignored))
    fail(Fault::usage, "--cache {}: is a file; give a folder, or auto, off or memory",
         printable(o.cache));
}

std::unique_ptr<TrainCache> TrainCache::open(const TrainOptions& o, Classifier& model,
                                             const Split& data) {
  const bool automatic = o.cache == "auto";
  if (o.cache == "off" || (automatic && sees_images_once(o))) return {};
  Prefix prefix(model);
  if (prefix.end() == 0) {
    if (!is_plain(o))
      say_off(fmt::format("--freeze {} leaves nothing fixed before {}", o.freeze, prefix.next()));
    return {};
  }
  const int64_t val = int64_t(data.val.samples.size());
  const int64_t all = int64_t(data.train.samples.size()) * views_of(o) + val;
  const bool training = views_of(o) > 0 && all <= images_that_fit(o, prefix);
  const int64_t images = training ? all : val;
  if (images > images_that_fit(o, prefix)) {
    say_off(fmt::format("{} for each of {} images would be {}", prefix.name(), images,
                        too_much(o, prefix, images)));
    return {};
  }
  say(fmt::format("feature cache: the output of {}, {:.1f} KB for each of {} images{}, {:.1f} MB in {}{}",
                  prefix.name(), double(prefix.bytes()) / 1024, images, training ? "" : " to validate",
                  mb(images * prefix.bytes()), in_folder(o) ? printable(o.cache) : "memory",
                  training ? "" : why_not_to_train(o, prefix, data)));
  std::unique_ptr<TrainCache> cache(new TrainCache(o, model, std::move(prefix), training));
  cache->read();
  return cache;
}

TrainCache::TrainCache(const TrainOptions& o, Classifier& model, Prefix prefix, bool training)
    : prefix_(std::move(prefix)),
      training_(training),
      store_(limit_mb(o) << 20),
      cache_(model, prefix_.end(), store_) {
  if (in_folder(o)) folder_.emplace(o.cache, o.cache_limit << 20);
}

void TrainCache::read() {
  if (!folder_) return;
  try {
    auto entries = folder_->read(prefix_.id(), prefix_.shape(), prefix_.dtype());
    saved_ = int64_t(entries.size());
    for (FeatureEntry& e : entries) store_.put(e.key, std::move(e.value));
  } catch (const Error& e) {
    say(fmt::format("warning: feature cache: {}; computed anew", e.what()));
  }
}

void TrainCache::join(LoaderOptions& loader, bool training) {
  if (training && !training_) return;
  loader.known = [this](const SampleKey& key) { return store_.find(key); };
  if (!training || loader.views <= 1) loader.cache_bytes = 0;  // no picture is decoded twice
}

TrunkInputOf TrainCache::input() {
  return [this](const Batch& batch) { return cache_.input(batch); };
}

// The file is written as a whole: before the end only where it grows by half.
void TrainCache::save(bool at_the_end) {
  const int64_t fresh = cache_.misses() - saved_misses_;
  if (!folder_ || !writable_ || fresh == 0 || (!at_the_end && 2 * fresh < saved_)) return;
  try {
    const std::vector<FeatureEntry> entries = store_.entries();
    folder_->write(prefix_.id(), entries);
    saved_ = int64_t(entries.size());
    saved_misses_ = cache_.misses();
  } catch (const std::exception& e) {
    writable_ = false;
    say(fmt::format("warning: feature cache: {}; it stays in memory", e.what()));
  }
}

Json TrainCache::report() const {
  const std::string where = folder_ ? folder_->file(prefix_.id()).string() : "memory";
  return {{"in", where},
          {"output_of", prefix_.name()},
          {"hits", cache_.hits()},
          {"misses", cache_.misses()},
          {"mb", mb(store_.bytes())}};
}

Json report_of(const TrainCache* cache) {
  if (cache) return cache->report();
  return {{"in", "off"}, {"hits", 0}, {"misses", 0}, {"mb", 0}};
}

}  // namespace graft::app
