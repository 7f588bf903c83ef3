#include "io/loader.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <thread>
#include <unordered_set>

#include "core/check.h"
#include "io/device_pictures.h"
#include "io/sample_maker.h"
#include "io/sampling.h"
#include "kernels/runtime.h"

namespace graft {
namespace {

// A batch in the making: one place for each sample. Everything but what a thread writes to its own
// places (pixels, made, failures) is guarded by Impl::mutex.
struct Slot {
  int64_t number = 0;  // of the batch in its epoch
  std::vector<int64_t> indices;
  Tensor images;
  uint8_t* pixels = nullptr;
  std::vector<MadeSample> made;
  std::vector<std::optional<std::string>> bad;  // why a sample cannot be used
  std::exception_ptr broken;                    // no fault of a file
  int64_t places = 0, taken = 0, done = 0;      // to be made, begun, finished
  Tensor there;                                 // the images on the device, once all is done
};

struct Task {
  std::shared_ptr<Slot> slot;
  int64_t place;
};

// Decoding only fills the gaps that computing leaves: on a full machine the compute threads go
// first, and the thread that waits for a batch helps at its own priority if decoding falls behind.
void lower_own_priority() {
#ifdef __linux__
  constexpr int nicer = 5;
  ::setpriority(PRIO_PROCESS, id_t(::gettid()), nicer);  // on Linux, of this thread alone
#endif
}

bool is_fault_of_file(const Error& error) {
  return error.fault == Fault::data || error.fault == Fault::no_input ||
         error.fault == Fault::permission || error.fault == Fault::io;
}

}  // namespace

std::vector<int64_t> epoch_order(int64_t count, bool shuffle, uint64_t seed, uint64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  if (!shuffle) return order;
  Random random(seed, "shuffle", epoch);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

struct Loader::Impl {
  Impl(const Dataset& data, Transform transform, const LoaderOptions& options);
  ~Impl();

  void start(uint64_t epoch, int64_t first_batch);
  bool next(Batch& batch);
  std::pair<int64_t, int64_t> range(int64_t batch) const;  // places in the order

  void work();  // a thread's life
  std::optional<Task> take(bool head_only);
  void run(const Task& task);
  void refill();
  std::shared_ptr<Slot> finished_head();
  bool hand_out(Slot& slot, Batch& batch);
  Tensor make_there(const Slot& slot);
  Tensor put_together(const Slot& slot, std::span<const size_t> places);
  void make_next_there();
  void note_bad(int64_t index, const std::string& message);

  const Dataset& data;
  const Transform transform;
  const LoaderOptions options;
  std::unique_ptr<DevicePictures> pictures;  // on the device, when batches are made there
  SampleMaker maker;
  int64_t batches = 0;

  std::mutex mutex;
  std::condition_variable work_ready, work_done;
  std::deque<std::shared_ptr<Slot>> slots;  // the batches being made, in order
  bool stop = false;
  std::vector<std::thread> threads;
  std::optional<Lane> lane;  // joined before the slots end, whose memory it writes

  // Of the thread that uses the loader. `epoch` is constant while tasks run.
  uint64_t epoch = 0;
  std::vector<int64_t> order;
  int64_t next_batch = 0;
  std::vector<BadFile> bad_files;
  std::unordered_set<int64_t> bad_indices;
  int64_t samples_left_out = 0;
  double waited = 0;
};

Loader::Impl::Impl(const Dataset& data, Transform transform, const LoaderOptions& options)
    : data(data),
      transform(std::move(transform)),
      options(options),
      pictures(options.device_bytes > 0 ? std::make_unique<DevicePictures>(
                   int64_t(data.samples.size()), options.device_bytes) : nullptr),
      maker(data, this->transform, {options.decode, options.seed, options.cache_bytes,
                                    options.views, options.known, pictures.get()}) {
  GRAFT_CHECK(options.batch > 0 && options.prefetch >= 0 && options.threads >= 0 &&
                  options.threads <= 1024 && options.min_last_batch >= 1 && options.views >= 0,
              "loader: batch {}, prefetch {}, threads {}, min_last_batch {}, views {}", options.batch,
              options.prefetch, options.threads, options.min_last_batch, options.views);
  const bool there = options.device == Device::cuda;
  GRAFT_CHECK(!pictures || (there && this->transform.only_cuts() && !options.known),
              "loader: on the device images can be cut, resized and mirrored, nothing else");
  if (there) lane.emplace();
  int64_t count = int64_t(data.samples.size());
  batches = (count + options.batch - 1) / options.batch;
  int64_t last = count - (batches - 1) * options.batch;
  if (batches > 1 && last < options.min_last_batch) --batches;
  try {
    for (int i = 0; i < options.threads; ++i) threads.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    if (threads.empty()) fail(Fault::os, "loader: cannot start a thread: {}", error.what());
  }
}

Loader::Impl::~Impl() {
  {
    std::lock_guard lock(mutex);
    stop = true;
  }
  work_ready.notify_all();
  for (std::thread& thread : threads) thread.join();
}

std::pair<int64_t, int64_t> Loader::Impl::range(int64_t batch) const {
  int64_t count = int64_t(data.samples.size());
  return {batch * options.batch, batch + 1 == batches ? count : (batch + 1) * options.batch};
}

void Loader::Impl::work() {
  lower_own_priority();
  while (std::optional<Task> task = take(false)) run(*task);
}

// The first place that nobody works on. A thread waits for one until the end; the caller looks in
// the first batch only and does not wait.
std::optional<Task> Loader::Impl::take(bool head_only) {
  std::unique_lock lock(mutex);
  while (!stop) {
    for (auto& slot : slots) {
      if (slot->taken < slot->places) return Task{slot, slot->taken++};
      if (head_only) return {};
    }
    if (head_only) return {};
    work_ready.wait(lock);
  }
  return {};
}

void Loader::Impl::run(const Task& task) {
  Slot& slot = *task.slot;
  int64_t index = slot.indices[size_t(task.place)];
  std::optional<std::string> bad;
  std::exception_ptr broken;
  try {
    // A sample that comes up again must not look the same: its place tells them apart. Views do repeat.
    const bool by_place = options.balanced && options.views == 0;
    int64_t draw = by_place ? range(slot.number).first + task.place : index;
    slot.made[size_t(task.place)] =
        maker.make(index, epoch, draw, slot.pixels + task.place * transform.bytes());
  } catch (const Error& error) {
    if (is_fault_of_file(error))
      bad = error.what();
    else
      broken = std::current_exception();
  } catch (...) {
    broken = std::current_exception();
  }
  std::lock_guard lock(mutex);
  slot.bad[size_t(task.place)] = std::move(bad);
  if (broken && !slot.broken) slot.broken = broken;
  if (++slot.done == slot.places) work_done.notify_all();
}

void Loader::Impl::start(uint64_t new_epoch, int64_t first_batch) {
  GRAFT_CHECK(first_batch >= 0 && first_batch <= batches, "loader: batch {} of {}", first_batch,
              batches);
  std::unique_lock lock(mutex);
  for (auto& slot : slots) {  // what is not begun stays undone; what is begun must end
    slot->places = slot->taken;
    work_done.wait(lock, [&] { return slot->done == slot->places; });
  }
  if (lane) lane->join();
  slots.clear();
  epoch = new_epoch;
  order = options.balanced ? balanced_order(data, options.seed, epoch)
                           : epoch_order(int64_t(data.samples.size()), options.shuffle, options.seed, epoch);
  next_batch = first_batch;
  lock.unlock();
  refill();
}

// Keeps the batch that is wanted next and `prefetch` more in the making.
void Loader::Impl::refill() {
  const int64_t ahead = threads.empty() ? 1 : options.prefetch + 1;
  while (next_batch < batches) {
    {
      std::lock_guard lock(mutex);
      if (int64_t(slots.size()) >= ahead) return;
    }
    auto slot = std::make_shared<Slot>();
    slot->number = next_batch;
    auto [begin, end] = range(next_batch++);
    slot->indices.assign(order.begin() + begin, order.begin() + end);
    slot->images = Tensor({end - begin, transform.size(), transform.size(), 3}, DType::u8);
    slot->pixels = slot->images.mutable_data<uint8_t>();
    slot->bad.resize(size_t(end - begin));
    slot->made.resize(size_t(end - begin));
    slot->places = end - begin;
    std::lock_guard lock(mutex);
    slots.push_back(std::move(slot));
    work_ready.notify_all();
  }
}

std::shared_ptr<Slot> Loader::Impl::finished_head() {
  while (std::optional<Task> task = take(true)) run(*task);
  std::unique_lock lock(mutex);
  std::shared_ptr<Slot> head = slots.front();
  work_done.wait(lock, [&] { return head->done == head->places; });
  slots.pop_front();
  return head;
}

bool Loader::Impl::next(Batch& batch) {
  auto begin = std::chrono::steady_clock::now();
  bool got = false;
  while (!got && !slots.empty()) {  // only this thread adds or removes slots
    std::shared_ptr<Slot> slot = finished_head();
    refill();
    got = hand_out(*slot, batch);
  }
  if (got && lane) make_next_there();
  waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return got;
}

// Closes the gaps that bad images leave, and those of which something is kept. False when too few
// samples are left.
bool Loader::Impl::hand_out(Slot& slot, Batch& batch) {
  if (slot.broken) std::rethrow_exception(slot.broken);
  const size_t bytes = size_t(transform.bytes());
  batch = {};
  size_t written = 0;
  for (size_t i = 0; i < slot.indices.size(); ++i) {
    if (slot.bad[i]) {
      note_bad(slot.indices[i], *slot.bad[i]);
      continue;
    }
    batch.indices.push_back(slot.indices[i]);
    if (options.known) {
      batch.keys.push_back(slot.made[i].key);
      batch.kept.push_back(slot.made[i].kept);
      if (slot.made[i].kept.defined()) continue;
    }
    if (!lane && written < i) std::memcpy(slot.pixels + written * bytes, slot.pixels + i * bytes, bytes);
    ++written;
  }
  const int64_t n = int64_t(batch.indices.size());
  if (n == 0 || (n < options.min_last_batch && n < int64_t(slot.indices.size()))) {
    samples_left_out += n;
    return false;
  }
  if (lane) {
    batch.images = slot.there.defined() ? slot.there : make_there(slot);
    lane->join();
  } else if (int64_t(written) == slot.images.dim(0)) {
    batch.images = slot.images;
  } else if (written > 0) {
    batch.images = slot.images.rows(0, int64_t(written));
  }
  batch.labels = Tensor({n}, DType::i32);
  int32_t* labels = batch.labels.mutable_data<int32_t>();
  for (int64_t index : batch.indices) *labels++ = data.samples[size_t(index)].label;
  batch.number = slot.number;
  return true;
}

// The images of a finished batch, less the bad ones and those of which something is kept, by work in
// the lane; undefined when there are none.
Tensor Loader::Impl::make_there(const Slot& slot) {
  std::vector<size_t> places;
  for (size_t i = 0; i < slot.made.size(); ++i)
    if (!slot.bad[i] && !slot.made[i].kept.defined()) places.push_back(i);
  Tensor images;
  if (!places.empty()) lane->run([&] { images = put_together(slot, places); });
  return images;
}

// Pictures of which there is no room for all at a time: one half after the other.
Tensor Loader::Impl::put_together(const Slot& slot, std::span<const size_t> places) {
  try {
    std::vector<BatchPart> parts;
    for (size_t i : places) {
      const MadeSample& made = slot.made[i];
      if (made.cut) parts.push_back({pictures->there(slot.indices[i], made.picture.get()), *made.cut, nullptr});
      else parts.push_back({{}, {}, slot.pixels + i * size_t(transform.bytes())});
    }
    return batch_there(parts, transform.size());
  } catch (const cuda::OutOfMemory&) {
    if (!pictures || places.size() == 1) throw;
  }
  const int64_t n = int64_t(places.size()), half = n / 2, side = transform.size();
  Tensor images({n, side, side, 3}, DType::u8, Device::cuda);
  images.rows(0, half).copy_from(put_together(slot, places.first(size_t(half))));
  images.rows(half, n).copy_from(put_together(slot, places.subspan(size_t(half))));
  return images;
}

// While the batch before it is computed; unless it is not ready, or has no place beside that one.
void Loader::Impl::make_next_there() {
  std::shared_ptr<Slot> next;
  {
    std::lock_guard lock(mutex);
    if (!slots.empty() && slots.front()->done == slots.front()->places) next = slots.front();
  }
  if (!next || next->broken) return;
  try {
    next->there = make_there(*next);
  } catch (const cuda::OutOfMemory&) {
  }
}

void Loader::Impl::note_bad(int64_t index, const std::string& message) {
  if (!bad_indices.insert(index).second) return;
  bad_files.push_back({index, message});
  int64_t count = int64_t(bad_files.size());
  double allowed = std::max(1.0, options.max_bad_fraction * double(data.samples.size()));
  if (options.strict) fail(Fault::data, "{}", message);
  if (double(count) > allowed) {
    fail(Fault::data, "{} of {} images cannot be used, more than the {} allowed "
         "(--max-bad-images); the last: {}",
         count, data.samples.size(), int64_t(allowed), message);
  }
}

Loader::Loader(const Dataset& data, Transform transform, const LoaderOptions& options)
    : impl_(std::make_unique<Impl>(data, std::move(transform), options)) {}
Loader::~Loader() = default;
void Loader::start(uint64_t epoch, int64_t first_batch) { impl_->start(epoch, first_batch); }
int64_t Loader::batches() const { return impl_->batches; }
int64_t Loader::largest_batch() const {
  const auto [begin, end] = impl_->range(impl_->batches - 1);
  return impl_->batches > 1 ? std::max(impl_->options.batch, end - begin) : end - begin;
}
bool Loader::next(Batch& batch) { return impl_->next(batch); }
const std::vector<BadFile>& Loader::bad_files() const { return impl_->bad_files; }
int64_t Loader::samples_left_out() const { return impl_->samples_left_out; }
int64_t Loader::bytes_there() const { return impl_->pictures ? impl_->pictures->bytes() : 0; }
double Loader::waited() const { return impl_->waited; }

}  // namespace graft
