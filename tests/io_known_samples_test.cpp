// A loader to which somebody says what he keeps of samples: their pixels stay away, nothing else.
#include <map>
#include <mutex>
#include <set>

#include "tests/loader_data.h"

namespace graft {
namespace {

using test::Folder;
using test::make_png;
using test::picture;
using test::small;

struct Pictures {
  explicit Pictures(int count) {
    set.classes = {"a", "b"};
    set.root = folder.path();
    for (int i = 0; i < count; ++i) {
      set.samples.push_back({folder / fmt::format("{}.png", i), i % 2});
      write(i, uint64_t(i));
    }
  }
  void write(int i, uint64_t seed) {
    test::write_file(set.samples[size_t(i)].path, make_png(24, 22, picture(24, 22, 3, seed)));
  }
  Folder folder;
  Dataset set;
};

// Keeps the pixels themselves, so that what comes back can be compared.
class Keeper {
 public:
  std::function<Tensor(const SampleKey&)> known() {
    return [this](const SampleKey& key) {
      std::lock_guard lock(mutex_);
      ++asked;
      auto found = kept.find(key);
      return found == kept.end() ? Tensor() : found->second;
    };
  }
  // The pixels of all samples of the batch; new ones are kept.
  Tensor pixels(const Batch& batch, int64_t& made) {
    Tensor all({int64_t(batch.indices.size()), 16, 16, 3}, DType::u8);
    int64_t next = 0;
    for (size_t i = 0; i < batch.indices.size(); ++i) {
      Tensor one = batch.kept[i];
      if (!one.defined()) {
        one = batch.images.rows(next, next + 1).clone(), ++next;
        std::lock_guard lock(mutex_);
        kept[batch.keys[i]] = one;
      }
      all.rows(int64_t(i), int64_t(i) + 1).copy_from(one);
    }
    EXPECT_EQ(next, batch.images.defined() ? batch.images.dim(0) : 0);
    made += next;
    return all;
  }
  std::map<SampleKey, Tensor> kept;
  int64_t asked = 0;

 private:
  std::mutex mutex_;
};

// Both loaders through an epoch: -> the pixels that had to be made.
int64_t compare(Loader& plain, Loader& keeping, Keeper& keeper, uint64_t epoch) {
  int64_t made = 0;
  plain.start(epoch);
  keeping.start(epoch);
  Batch a, b;
  while (plain.next(a)) {
    EXPECT_TRUE(keeping.next(b));
    EXPECT_EQ(a.indices, b.indices);
    Tensor pixels = keeper.pixels(b, made);
    EXPECT_EQ(std::memcmp(pixels.raw(), a.images.raw(), pixels.bytes()), 0);
    EXPECT_EQ(std::memcmp(a.labels.raw(), b.labels.raw(), a.labels.bytes()), 0);
  }
  EXPECT_FALSE(keeping.next(b));
  return made;
}

TEST(KnownSamples, ComeBackInTheirPlaces) {
  Pictures data(23);
  test::write_text(data.set.samples[4].path, "no image");
  for (int threads : {0, 3}) {
    LoaderOptions options{.batch = 5, .shuffle = true, .seed = 3, .threads = threads,
                          .max_bad_fraction = 0.5};
    Loader plain(data.set, Transform(small()), options);
    Keeper keeper;
    options.known = keeper.known();
    Loader keeping(data.set, Transform(small()), options);
    EXPECT_EQ(compare(plain, keeping, keeper, 0), 22);
    keeper.kept.erase(std::next(keeper.kept.begin(), 7));
    EXPECT_EQ(compare(plain, keeping, keeper, 1), 1);
    EXPECT_EQ(compare(plain, keeping, keeper, 2), 0);
    EXPECT_EQ(keeping.bad_files().size(), 1u);
  }
}

TEST(KnownSamples, AreNeverThoseOfOtherBytes) {
  Pictures data(12);
  Keeper keeper;
  LoaderOptions options{.batch = 4, .threads = 2, .known = keeper.known()};
  auto made = [&] {
    Loader plain(data.set, Transform(small()), {.batch = 4, .threads = 2});
    Loader keeping(data.set, Transform(small()), options);
    return compare(plain, keeping, keeper, 0);
  };
  EXPECT_EQ(made(), 12);
  EXPECT_EQ(made(), 0);
  data.write(5, 99);
  EXPECT_EQ(made(), 1);
  std::filesystem::rename(data.set.samples[0].path, data.folder / "moved.png");
  data.set.samples[0].path = data.folder / "moved.png";  // the same bytes
  EXPECT_EQ(made(), 0);
}

TEST(KnownSamples, ViewsTakeTurns) {
  Pictures data(10);
  Keeper keeper;
  const Transform transform(small(), Augment{});
  LoaderOptions options{.batch = 4, .shuffle = true, .seed = 3, .cache_bytes = 1 << 20};
  Loader plain(data.set, transform, options);
  options.views = 2;
  options.known = keeper.known();
  Loader keeping(data.set, transform, options);
  EXPECT_EQ(compare(plain, keeping, keeper, 0), 10);
  EXPECT_EQ(compare(plain, keeping, keeper, 1), 10);
  std::set<SampleKey> before;
  for (auto& [key, value] : keeper.kept) before.insert(key);
  EXPECT_EQ(before.size(), 20u);
  int64_t made = 0;
  Batch batch;
  for (uint64_t epoch : {2, 3, 7}) {
    keeping.start(epoch);
    while (keeping.next(batch)) keeper.pixels(batch, made);
  }
  EXPECT_EQ(made, 0);
  Keeper other;  // other changes, other keys
  options.known = other.known();
  options.seed = 4;
  Loader seeded(data.set, transform, options);
  Augment stronger;
  stronger.brightness = 0.4f;
  options.seed = 3;
  Loader brighter(data.set, Transform(small(), stronger), options);
  for (Loader* loader : {&seeded, &brighter}) {
    loader->start(0);
    while (loader->next(batch)) other.pixels(batch, made);
  }
  for (auto& [key, value] : other.kept) EXPECT_FALSE(before.contains(key));
}

}  // namespace
}  // namespace graft
