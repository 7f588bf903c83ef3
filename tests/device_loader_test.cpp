// Batches that are made on the CUDA device, or sent there: the bytes that the processor makes.
#include <chrono>
#include <set>
#include <thread>

#include "core/device.h"
#include "tests/device.h"
#include "tests/loader_data.h"

#ifdef GRAFT_CUSIM
#include "tests/cusim/runtime_sim.h"
#endif

namespace graft::tests {
namespace {

using test::Data;

struct Seen {  // batches, one after another
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
  std::vector<int64_t> indices;
  bool operator==(const Seen&) const = default;
};

void append(Seen& seen, const Batch& batch) {
  const Tensor images = batch.images.to(Device::cpu), labels = batch.labels;
  seen.pixels.insert(seen.pixels.end(), images.data<uint8_t>(), images.data<uint8_t>() + images.size());
  seen.labels.insert(seen.labels.end(), labels.data<int32_t>(), labels.data<int32_t>() + labels.size());
  seen.indices.insert(seen.indices.end(), batch.indices.begin(), batch.indices.end());
}

Transform transform_of(bool augment) {
  return augment ? Transform(test::small(), Augment{}) : Transform(test::small());
}

Seen two_epochs(const Data& data, const LoaderOptions& options, bool augment) {
  const Transform transform = transform_of(augment);
  Loader loader(data.set, transform, options);
  Seen seen;
  for (uint64_t epoch : {0, 1}) {
    loader.start(epoch);
    for (Batch batch; loader.next(batch);) {
      EXPECT_EQ(batch.images.device(), options.device);
      append(seen, batch);
    }
  }
  return seen;
}

class DeviceLoader : public DeviceTest {};

TEST_F(DeviceLoader, SameBytesHoweverMuchIsKeptThere) {
  Data data(11);
  data.damage(3);
  for (bool augment : {false, true})
    for (int threads : {0, 2}) {
      LoaderOptions options{.batch = 4, .shuffle = true, .threads = threads, .max_bad_fraction = 1};
      const Seen here = two_epochs(data, options, augment);
      ASSERT_EQ(here.indices.size(), 20u);
      options.device = Device::cuda;
      for (int64_t bytes : {0, 1, 5000, 1 << 20}) {  // sent; cut there: nothing kept, a few pictures, all
        options.device_bytes = bytes;
        EXPECT_EQ(two_epochs(data, options, augment), here) << bytes << " bytes, " << threads << " threads";
      }
    }
}

TEST_F(DeviceLoader, ReadsEachFileOnceWhenAllAreKept) {
  Data data(6);
  const Transform transform = transform_of(true);
  Loader loader(data.set, transform, {.batch = 4, .threads = 0, .device = Device::cuda, .device_bytes = 1 << 20});
  Batch batch;
  for (loader.start(0); loader.next(batch);) {}
  for (int i = 0; i < 6; ++i) data.damage(i);
  int64_t images = 0;
  for (loader.start(1); loader.next(batch);) images += batch.images.dim(0);
  EXPECT_EQ(images, 6);
}

// What was made ahead is not lost, nor mixed up, when the loader begins elsewhere.
TEST_F(DeviceLoader, BeginsAnywhere) {
  Data data(11);
  LoaderOptions options{.batch = 3, .shuffle = true, .threads = 2, .device = Device::cuda};
  const Transform transform = transform_of(true);
  for (int64_t bytes : {0, 1 << 20}) {
    options.device_bytes = bytes;
    Loader loader(data.set, transform, options);
    Batch batch;
    Seen whole, rest;
    for (loader.start(5); loader.next(batch);)
      if (batch.number >= 2) append(whole, batch);
    loader.start(4), loader.next(batch);
    for (loader.start(5, 2); loader.next(batch);) append(rest, batch);
    EXPECT_EQ(rest, whole) << bytes;
  }
}

TEST_F(DeviceLoader, BatchesOutliveIt) {
  Data data(4);
  auto first_batch = [&](Device device, int64_t device_bytes) {
    const Transform transform = transform_of(false);
    Loader loader(data.set, transform,
                  {.batch = 2, .threads = 0, .device = device, .device_bytes = device_bytes});
    Batch batch;
    loader.start(0);
    EXPECT_TRUE(loader.next(batch));
    return batch;
  };
  Seen here;
  append(here, first_batch(Device::cpu, 0));
  for (int64_t bytes : {0, 1 << 20}) {
    Seen there;
    append(there, first_batch(Device::cuda, bytes));
    EXPECT_EQ(there, here) << bytes;
  }
}

// Some are kept by somebody else, and one cannot be read: the pixels of the others come in their order.
TEST_F(DeviceLoader, SendsWhatNobodyKeeps) {
  Data data(6);
  data.damage(4);
  std::set<SampleKey> seen;
  LoaderOptions options{.batch = 6, .threads = 0, .max_bad_fraction = 1, .device = Device::cuda};
  options.known = [&](const SampleKey& key) {
    return seen.contains(key) ? Tensor::full({1}, 1) : Tensor();
  };
  Loader loader(data.set, transform_of(false), options);
  Batch all, others;
  loader.start(0);
  ASSERT_TRUE(loader.next(all));
  ASSERT_EQ(all.images.shape(), (Shape{5, 16, 16, 3}));
  seen = {all.keys[0], all.keys[3]};
  loader.start(1);
  ASSERT_TRUE(loader.next(others));
  ASSERT_EQ(others.images.shape(), (Shape{3, 16, 16, 3}));
  EXPECT_EQ(others.images.device(), Device::cuda);
  for (auto [row, before] : {std::pair(0, 1), {1, 2}, {2, 4}}) {
    const Tensor a = others.images.to(Device::cpu).rows(row, row + 1);
    const Tensor b = all.images.to(Device::cpu).rows(before, before + 1);
    EXPECT_TRUE(std::equal(a.data<uint8_t>(), a.data<uint8_t>() + a.size(), b.data<uint8_t>())) << row;
  }
  seen.insert(all.keys.begin(), all.keys.end());
  loader.start(2);
  ASSERT_TRUE(loader.next(others));
  EXPECT_FALSE(others.images.defined());
}

TEST_F(DeviceLoader, KnowsItsLargestBatch) {
  Data data(11);
  auto largest = [&](int64_t batch, int64_t min_last) {
    return Loader(data.set, transform_of(false),
                  {.batch = batch, .threads = 0, .min_last_batch = min_last}).largest_batch();
  };
  EXPECT_EQ(largest(4, 1), 4);
  EXPECT_EQ(largest(5, 2), 6);  // the last image joins the second five
  EXPECT_EQ(largest(10, 2), 11);
  EXPECT_EQ(largest(100, 2), 11);
}

TEST_F(DeviceLoader, RefusesColours) {
  Data data(2);
  Augment colour;
  colour.hue = 0.1f;
  const Transform transform(test::small(), colour);
  EXPECT_THROW(Loader(data.set, transform, {.device = Device::cuda, .device_bytes = 1}), Error);
  EXPECT_THROW(Loader(data.set, transform_of(true), {.device_bytes = 1}), Error);  // where?
}

#ifdef GRAFT_CUSIM
// Each call to the device fails once: an error, or the right bytes.
TEST_F(DeviceLoader, EveryFailureIsAnErrorOrChangesNothing) {
  namespace sim = cuda::sim;
  Data data(5);
  LoaderOptions options{.batch = 2, .shuffle = true, .threads = 0};
  const Seen here = two_epochs(data, options, true);
  options.device = Device::cuda;
  for (int64_t bytes : {0, 1 << 20}) {
    options.device_bytes = bytes;
    sim::inject({});
    two_epochs(data, options, true);
    const long calls = sim::calls();
    ASSERT_GT(calls, 20);
    long errors = 0;
    for (long n = 1; n <= calls; ++n) {
      sim::inject({.fail_at = n});
      try {
        EXPECT_EQ(two_epochs(data, options, true), here) << "failing call " << n;
      } catch (const cuda::OutOfMemory&) {
        ++errors;
      } catch (const cuda::DeviceError&) {
        ++errors;
      }
      sim::inject({});
    }
    EXPECT_GT(errors, calls / 2);
    sim::reset();  // nothing was left behind
  }
}

// Room for two of the four pictures and what cutting them needs; then for one and not for its cutting.
TEST_F(DeviceLoader, PicturesThatDoNotFitBesideEachOtherAreCutByTurns) {
  namespace sim = cuda::sim;
  Data data(4);
  const std::string path = data.set.samples[0].path;
  constexpr int side = 200;
  test::write_file(path, test::make_jpeg(side, side, test::picture(side, side, 3, 1)));
  for (auto& sample : data.set.samples) sample.path = path;
  LoaderOptions options{.batch = 4, .threads = 0};
  const Seen here = two_epochs(data, options, true);
  options.device = Device::cuda, options.device_bytes = 1;
  sim::inject({.budget = size_t(side * side * 3 * 5 / 2)});
  EXPECT_EQ(two_epochs(data, options, true), here);
  sim::inject({.budget = size_t(side * side * 3)});
  EXPECT_THROW(two_epochs(data, options, true), cuda::OutOfMemory);
  sim::reset();
}

// While work of a step is queued, the next batch is on its way in a stream of its own, and nobody waits.
TEST_F(DeviceLoader, SendsTheNextBatchBesideTheWorkOnThisOne) {
  namespace sim = cuda::sim;
  Data data(8);
  Loader loader(data.set, transform_of(true), {.batch = 4, .threads = 2, .device = Device::cuda});
  bool ahead = false;
  for (uint64_t epoch = 0; epoch < 500 && !ahead; ++epoch) {  // until it was decoded in time
    Batch batch;
    loader.start(epoch);
    std::this_thread::sleep_for(std::chrono::milliseconds(epoch));
    ASSERT_TRUE(loader.next(batch));
    cuda::synchronize(cuda::Stream{});  // all work of the step before: what is left is the lane's
    ahead = !sim::idle();
    Seen here, there;
    ASSERT_TRUE(loader.next(batch));
    append(there, batch);
    EXPECT_FALSE(there.pixels.empty());
  }
  EXPECT_TRUE(ahead);
}
#endif

}  // namespace
}  // namespace graft::tests
