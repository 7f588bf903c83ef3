#include "io/loader.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/loader_data.h"

namespace graft {
namespace {

using test::thrown_by;
using test::Folder;
using test::make_jpeg;
using test::make_png;
using test::picture;
using test::Data;
using test::small;

struct Copy {  // a batch by value
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
  std::vector<int64_t> indices;
  bool operator==(const Copy&) const = default;
};

std::vector<Copy> rest_of(Loader& loader) {
  std::vector<Copy> all;
  Batch batch;
  while (loader.next(batch)) {
    const uint8_t* pixels = batch.images.data<uint8_t>();
    const int32_t* labels = batch.labels.data<int32_t>();
    EXPECT_EQ(batch.images.shape(), (Shape{int64_t(batch.indices.size()), 16, 16, 3}));
    all.push_back({{pixels, pixels + batch.images.size()}, {labels, labels + batch.labels.size()},
                   batch.indices});
  }
  EXPECT_FALSE(loader.next(batch));
  return all;
}

std::vector<Copy> epochs(const Data& data, LoaderOptions options, bool augment, int count = 2) {
  Transform transform = augment ? Transform(small(), Augment{}) : Transform(small());
  Loader loader(data.set, transform, options);
  std::vector<Copy> all;
  for (int epoch = 0; epoch < count; ++epoch) {
    loader.start(uint64_t(epoch));
    for (Copy& copy : rest_of(loader)) all.push_back(std::move(copy));
  }
  return all;
}

TEST(EpochOrder, IsAPermutationOfSeedAndEpoch) {
  auto order = epoch_order(1000, true, 1, 2);
  EXPECT_EQ(order, epoch_order(1000, true, 1, 2));
  EXPECT_NE(order, epoch_order(1000, true, 1, 3));
  EXPECT_NE(order, epoch_order(1000, true, 2, 2));
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, epoch_order(1000, false, 0, 0));
  EXPECT_TRUE(epoch_order(0, true, 0, 0).empty());
}

TEST(Loader, EveryImageOnceWithItsLabel) {
  Data data(23);
  LoaderOptions options{.batch = 4, .shuffle = true};
  auto all = epochs(data, options, false, 1);
  ASSERT_EQ(all.size(), 6u);
  std::vector<int64_t> seen;
  for (const Copy& copy : all) {
    for (size_t i = 0; i < copy.indices.size(); ++i) {
      seen.push_back(copy.indices[i]);
      EXPECT_EQ(copy.labels[i], copy.indices[i] % 3);
      std::vector<uint8_t> want(16 * 16 * 3);
      Image image = read_image(data.set.samples[size_t(copy.indices[i])].path);
      Transform(small()).run(image, Random(0, ""), want.data());
      EXPECT_TRUE(std::equal(want.begin(), want.end(), copy.pixels.begin() + long(i * want.size())));
    }
  }
  EXPECT_EQ(seen, epoch_order(23, true, 0, 0));
}

TEST(Loader, ThreadsPrefetchAndCacheChangeNothing) {
  Data data(37);
  data.damage(5);
  for (bool augment : {false, true}) {
    LoaderOptions options{.batch = 5, .shuffle = true, .seed = 3, .threads = 0};
    auto want = epochs(data, options, augment);
    EXPECT_EQ(want.size(), 16u);
    for (int threads : {0, 1, 2, 64}) {
      for (int64_t prefetch : {0, 3, 100}) {
        for (int64_t cache : {0, 9000, 1 << 20}) {
          if (threads == 64 && cache == 0 && prefetch != 3) continue;
          options.threads = threads;
          options.prefetch = prefetch;
          options.cache_bytes = cache;
          ASSERT_TRUE(epochs(data, options, augment) == want)
              << threads << " threads, prefetch " << prefetch << ", cache " << cache;
        }
      }
    }
  }
}

TEST(Loader, AugmentationIsNotFrozenByTheCache) {
  Data data(8);
  LoaderOptions options{.batch = 8, .cache_bytes = 1 << 20};
  auto all = epochs(data, options, true);
  EXPECT_EQ(all[0].indices, all[1].indices);
  EXPECT_NE(all[0].pixels, all[1].pixels);
}

TEST(Loader, TheCacheSparesTheFiles) {
  Data data(6);
  for (bool augment : {false, true}) {
    Transform transform = augment ? Transform(small(), Augment{}) : Transform(small());
    Loader loader(data.set, transform, {.batch = 6, .cache_bytes = 1 << 20});
    loader.start(0);
    rest_of(loader);
    for (const Sample& sample : data.set.samples) {
      std::filesystem::rename(sample.path, sample.path + ".away");
    }
    loader.start(1);
    EXPECT_EQ(rest_of(loader).size(), 1u);
    EXPECT_TRUE(loader.bad_files().empty());
    for (const Sample& sample : data.set.samples) {
      std::filesystem::rename(sample.path + ".away", sample.path);
    }
  }
}

TEST(Loader, ResumesInsideAnEpoch) {
  Data data(23);
  LoaderOptions options{.batch = 4, .shuffle = true, .seed = 9};
  Loader loader(data.set, Transform(small(), Augment{}), options);
  loader.start(5);
  auto all = rest_of(loader);
  for (size_t begin = 0; begin <= all.size(); ++begin) {
    loader.start(5, int64_t(begin));
    EXPECT_TRUE(rest_of(loader) == std::vector<Copy>(all.begin() + long(begin), all.end()));
  }
  EXPECT_THROW(loader.start(5, 7), Error);
}

TEST(Loader, ASmallLastBatchJoinsTheOneBefore) {
  Data data(9);
  LoaderOptions options{.batch = 4, .min_last_batch = 2};
  Loader loader(data.set, Transform(small()), options);
  EXPECT_EQ(loader.batches(), 2);
  loader.start(0);
  auto all = rest_of(loader);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].indices.size(), 5u);
  Data one(1);  // nothing to join: the caller has to decide
  Loader single(one.set, Transform(small()), options);
  single.start(0);
  EXPECT_EQ(rest_of(single).size(), 1u);
}

TEST(Loader, BadImagesAreLeftOutAndNamed) {
  Data data(12);
  data.damage(3);
  std::filesystem::remove(data.set.samples[7].path);  // vanished since the scan
  std::filesystem::remove(data.set.samples[8].path);
  std::filesystem::create_directory(data.set.samples[8].path);
  LoaderOptions options{.batch = 4, .max_bad_fraction = 0.25};
  Loader loader(data.set, Transform(small()), options);
  for (uint64_t epoch = 0; epoch < 2; ++epoch) {
    loader.start(epoch);
    auto all = rest_of(loader);
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0].indices, (std::vector<int64_t>{0, 1, 2}));
    EXPECT_EQ(all[1].indices, (std::vector<int64_t>{4, 5, 6}));
    EXPECT_EQ(all[1].labels, (std::vector<int32_t>{1, 2, 0}));
  }
  ASSERT_EQ(loader.bad_files().size(), 3u);  // once each, in order
  EXPECT_EQ(loader.bad_files()[0].index, 3);
  EXPECT_NE(loader.bad_files()[0].message.find("3.png"), std::string::npos);
  EXPECT_EQ(loader.bad_files()[2].index, 8);
}

TEST(Loader, TooManyBadImagesEndTheRun) {
  Data data(12);
  data.damage(3);
  for (bool strict : {false, true}) {
    for (int threads : {0, 3}) {
      Loader loader(data.set, Transform(small()), {.batch = 2, .threads = threads, .strict = strict});
      loader.start(0);
      if (strict) {
        EXPECT_EQ(thrown_by([&] { rest_of(loader); }).fault, Fault::data);
      } else {
        EXPECT_EQ(rest_of(loader).size(), 6u);  // one is always allowed
      }
    }
  }
  data.damage(4);
  Loader loader(data.set, Transform(small()), {.batch = 2});
  loader.start(0);
  Error error = thrown_by([&] { rest_of(loader); });
  EXPECT_EQ(error.fault, Fault::data);
  EXPECT_NE(std::string(error.what()).find("2 of 12 images"), std::string::npos) << error.what();
}

TEST(Loader, BatchesThatBecomeTooSmallAreLeftOut) {
  Data data(6);
  data.damage(2);
  LoaderOptions options{.batch = 2, .min_last_batch = 2};
  Loader loader(data.set, Transform(small()), options);
  loader.start(0);
  EXPECT_EQ(rest_of(loader).size(), 2u);
  EXPECT_EQ(loader.samples_left_out(), 1);
}

TEST(Loader, FewerSamplesThanABatchAndNone) {
  Data data(3);
  Loader loader(data.set, Transform(small()), {.batch = 32});
  loader.start(0);
  EXPECT_EQ(rest_of(loader).size(), 1u);
  Dataset nothing;
  Loader empty(nothing, Transform(small()), {});
  EXPECT_EQ(empty.batches(), 0);
  empty.start(0);
  Batch batch;
  EXPECT_FALSE(empty.next(batch));
  EXPECT_THROW(Loader(nothing, Transform(small()), {.batch = 0}), Error);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// What is no fault of a file is not skipped: it reaches the caller from whatever thread.
TEST(Loader, OutOfMemoryInAThreadReachesTheCaller) {
  Data data(4);
  test::JpegForm grey{.from = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE};
  test::write_file(data.set.samples[2].path,
                   make_jpeg(6000, 6000, std::vector<uint8_t>(6000 * 6000, 9), grey));
  auto run = [&] {
    Preprocess p = small();
    p.resize_rule = "exact";
    Loader loader(data.set, Transform(p), {.batch = 4, .threads = 2});
    rlimit limit{};
    ::getrlimit(RLIMIT_AS, &limit);
    std::ifstream("/proc/self/statm") >> limit.rlim_cur;
    limit.rlim_cur = limit.rlim_cur * rlim_t(::getpagesize()) + (40 << 20);
    ::setrlimit(RLIMIT_AS, &limit);
    loader.start(0);
    Batch batch;
    try {
      loader.next(batch);
    } catch (const std::bad_alloc&) {
      std::_Exit(7);
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(7), "");
}
#endif

TEST(Loader, EndsCleanlyAtAnyMoment) {
  Data data(40);
  for (int threads : {0, 1, 8}) {
    for (int taken = 0; taken < 5; ++taken) {
      Loader loader(data.set, Transform(small()), {.batch = 2, .threads = threads, .prefetch = 8});
      loader.start(0);
      Batch batch;
      for (int i = 0; i < taken; ++i) EXPECT_TRUE(loader.next(batch));
      if (taken == 3) loader.start(1);  // in the middle of the one before
      if (taken == 4) std::this_thread::sleep_for(std::chrono::milliseconds(20));  // queue is full
    }
  }
  Loader never_started(data.set, Transform(small()), {});
}

}  // namespace
}  // namespace graft
