// Batches that are made on the CUDA device: the bytes that the processor makes.
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
      EXPECT_EQ(batch.images.device(), options.device_bytes ? Device::cuda : Device::cpu);
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
      for (int64_t bytes : {1, 5000, 1 << 20}) {  // nothing, a few pictures, all
        options.device_bytes = bytes;
        EXPECT_EQ(two_epochs(data, options, augment), here) << bytes << " bytes, " << threads << " threads";
      }
    }
}

TEST_F(DeviceLoader, ReadsEachFileOnceWhenAllAreKept) {
  Data data(6);
  const Transform transform = transform_of(true);
  Loader loader(data.set, transform, {.batch = 4, .threads = 0, .device_bytes = 1 << 20});
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
  LoaderOptions options{.batch = 3, .shuffle = true, .threads = 2, .device_bytes = 1 << 20};
  const Transform transform = transform_of(true);
  Loader loader(data.set, transform, options);
  Batch batch;
  Seen whole, rest;
  for (loader.start(5); loader.next(batch);)
    if (batch.number >= 2) append(whole, batch);
  loader.start(4), loader.next(batch);
  for (loader.start(5, 2); loader.next(batch);) append(rest, batch);
  EXPECT_EQ(rest, whole);
}

TEST_F(DeviceLoader, BatchesOutliveIt) {
  Data data(4);
  LoaderOptions options{.batch = 2, .threads = 0, .device_bytes = 1 << 20};
  Batch batch;
  {
    const Transform transform = transform_of(false);
    Loader loader(data.set, transform, options);
    loader.start(0);
    ASSERT_TRUE(loader.next(batch));
  }
  options.device_bytes = 0;
  const Transform transform = transform_of(false);
  Loader here(data.set, transform, options);
  Batch want;
  here.start(0);
  ASSERT_TRUE(here.next(want));
  Seen a, b;
  append(a, batch), append(b, want);
  EXPECT_EQ(a, b);
}

TEST_F(DeviceLoader, RefusesColours) {
  Data data(2);
  Augment colour;
  colour.hue = 0.1f;
  const Transform transform(test::small(), colour);
  EXPECT_THROW(Loader(data.set, transform, {.device_bytes = 1}), Error);
}

#ifdef GRAFT_CUSIM
// Each call to the device fails once: an error, or the right bytes.
TEST_F(DeviceLoader, EveryFailureIsAnErrorOrChangesNothing) {
  namespace sim = cuda::sim;
  Data data(5);
  LoaderOptions options{.batch = 2, .shuffle = true, .threads = 0};
  const Seen here = two_epochs(data, options, true);
  options.device_bytes = 1 << 20;
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
#endif

}  // namespace
}  // namespace graft::tests
