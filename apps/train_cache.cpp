#include "apps/train_cache.h"

#include <nlohmann/json.hpp>

#include "apps/free_memory.h"
#include "io/pixel_probe.h"
#include "io/sha256.h"

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

// What the features of this network may take. All of them are in memory, those of a folder too, and
// half of what is free there is left to training.
struct Room {
  Room(const TrainOptions& o, const Prefix& prefix)
      : limit_mb(o.cache_limit), memory_mb(free_memory_mb() / 2), each(prefix.bytes()) {}
  int64_t limit_mb, memory_mb, each;  // each: bytes of one image
  int64_t bytes() const { return std::min(limit_mb, memory_mb) << 20; }
  int64_t images() const { return bytes() / each; }
};

std::string too_much(const Room& room, int64_t images) {
  return fmt::format("{:.1f} MB, more than {}", mb(images * room.each),
                     room.limit_mb <= room.memory_mb
                         ? fmt::format("--cache-limit {}", room.limit_mb)
                         : fmt::format("{} MB, half of the memory that is free", room.memory_mb));
}

std::string why_not_to_train(const TrainOptions& o, const Room& room, const Split& data) {
  const int64_t train = int64_t(data.train.samples.size()), val = int64_t(data.val.samples.size());
  if (views_of(o) > 0) {
    const int64_t views = (room.images() - val) / train;
    return fmt::format("; with {} to train it would be {}{}", train * views_of(o),
                       too_much(room, train * views_of(o) + val),
                       views > 0 ? fmt::format("; --cache-views {} fits", views) : "");
  }
  if (mixes(o)) return "; --mixup and --cutmix make other pixels in every step of training";
  return fmt::format("; --augment {} makes other pixels in every epoch of training (--cache-views 4 keeps "
                     "4 views of each image, which take turns)", o.augment);
}

// Another program may see other pixels in the same file, too.
std::string network_of(const Prefix& prefix) {
  const std::string all = prefix.id() + pixel_digest();
  return sha256(all.data(), all.size());
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
  const Room room(o, prefix);
  const int64_t val = int64_t(data.val.samples.size());
  const int64_t all = int64_t(data.train.samples.size()) * views_of(o) + val;
  const bool training = views_of(o) > 0 && all <= room.images();
  const int64_t images = training ? all : val;
  if (images > room.images()) {
    say_off(fmt::format("{} for each of {} images would be {}", prefix.name(), images,
                        too_much(room, images)));
    return {};
  }
  say(fmt::format("feature cache: the output of {}, {:.1f} KB for each of {} images{}, {:.1f} MB in {}{}",
                  prefix.name(), double(prefix.bytes()) / 1024, images, training ? "" : " to validate",
                  mb(images * prefix.bytes()), in_folder(o) ? printable(o.cache) : "memory",
                  training ? "" : why_not_to_train(o, room, data)));
  std::unique_ptr<TrainCache> cache(new TrainCache(model, std::move(prefix), training, room.bytes()));
  if (in_folder(o)) cache->read(o.cache, o.cache_limit << 20);
  return cache;
}

TrainCache::TrainCache(Classifier& model, Prefix prefix, bool training, int64_t most_bytes)
    : prefix_(std::move(prefix)),
      network_(network_of(prefix_)),
      training_(training),
      most_(most_bytes),
      store_(most_bytes),
      cache_(model, prefix_.end(), store_) {}

void TrainCache::read(const std::string& folder, int64_t most_on_disk) {
  folder_.emplace(folder, most_on_disk);
  try {
    auto entries = folder_->read(network_, prefix_.shape(), prefix_.dtype(), most_);
    saved_ = int64_t(entries.size());
    for (FeatureEntry& e : entries) store_.put(e.key, std::move(e.value));
  } catch (const Error& e) {
    say(fmt::format("warning: feature cache: {}; computed anew", e.what()));
  }
  // Where all that is wanted may be there, a closed folder is told of when something is to be saved.
  writable_ = saved_ > 0 || folder_->refusal().empty();
  if (!writable_)
    say(fmt::format("warning: feature cache: {}; it stays in memory", folder_->refusal()));
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
    folder_->write(network_, entries);
    saved_ = int64_t(entries.size());
    saved_misses_ = cache_.misses();
  } catch (const std::exception& e) {
    writable_ = false;
    say(fmt::format("warning: feature cache: {}; it stays in memory", e.what()));
  }
}

Json TrainCache::report() const {
  const std::string where = folder_ && (writable_ || saved_ > 0) ? folder_->file(network_).string() : "memory";
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
