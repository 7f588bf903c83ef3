// Features kept in memory, in a file and in a folder: never a wrong value, whatever happens.
#include <filesystem>
#include <thread>

#include "core/random.h"
#include "io/feature_folder.h"
#include "io/hdf5.h"
#include "tests/io_scratch.h"

namespace graft::test {
namespace {

const std::string kNetwork(64, 'a'), kOther(64, 'b');
const Shape kShape{2, 3};  // 24 bytes of f32
constexpr int64_t kAll = 1 << 30;

SampleKey key_of(int i) {
  SampleKey key{};
  key[0] = uint8_t(i), key[31] = uint8_t(i >> 8);
  return key;
}

FeatureEntry entry_of(int i) { return {key_of(i), counted(kShape, float(i))}; }

std::vector<FeatureEntry> entries_of(int first, int last) {
  std::vector<FeatureEntry> entries;
  for (int i = first; i < last; ++i) entries.push_back(entry_of(i));
  return entries;
}

std::vector<int> numbers(const std::vector<FeatureEntry>& entries) {
  std::vector<int> found;
  for (const FeatureEntry& e : entries) {
    int i = e.key[0] | e.key[31] << 8;
    EXPECT_EQ(std::memcmp(e.value.raw(), entry_of(i).value.raw(), e.value.bytes()), 0);
    EXPECT_EQ(e.value.shape(), kShape);
    found.push_back(i);
  }
  return found;
}

std::vector<FeatureEntry> read(const fs::path& path) {
  return read_features(path, kNetwork, kShape, DType::f32, kAll);
}

TEST(FeatureStore, TheLeastRecentlyUsedMakesRoom) {
  FeatureStore store(3 * 24 + 23);  // three values of 24 bytes
  for (int i = 0; i < 3; ++i) store.put(key_of(i), entry_of(i).value);
  EXPECT_TRUE(store.find(key_of(0)).defined());
  store.put(key_of(3), entry_of(3).value);
  EXPECT_FALSE(store.find(key_of(1)).defined());
  EXPECT_EQ(numbers(store.entries()), (std::vector<int>{2, 0, 3}));
  EXPECT_EQ(store.bytes(), 72);
  store.put(key_of(2), entry_of(2).value);  // again: no second copy
  EXPECT_EQ(store.bytes(), 72);
  store.put(key_of(9), counted({100}));  // larger than all room
  EXPECT_FALSE(store.find(key_of(9)).defined());
  EXPECT_EQ(store.entries().size(), 3u);
}

TEST(FeatureStore, ManyThreads) {
  FeatureStore store(50 * 24);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&store, t] {
      for (int i = 0; i < 2000; ++i) {
        const int wanted = (i * 7 + t) % 100;
        if (Tensor found = store.find(key_of(wanted)); found.defined())
          ASSERT_EQ(found.data()[0], float(wanted));
        else store.put(key_of(wanted), entry_of(wanted).value);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store.bytes(), 50 * 24);
}

TEST(FeatureFile, ComesBackInItsOrder) {
  Scratch dir;
  write_features(dir / "f.h5", kNetwork, entries_of(0, 40));
  EXPECT_EQ(numbers(read(dir / "f.h5")), numbers(entries_of(0, 40)));
}

TEST(FeatureFile, InBlocksAndInOtherTypes) {
  Scratch dir;
  const Shape large{3, 1 << 20};  // 12 MB: two to a block
  std::vector<FeatureEntry> entries;
  for (int i = 0; i < 5; ++i) {
    Tensor t(large);
    std::fill_n(t.mutable_data(), t.size(), float(i));
    entries.push_back({key_of(i), t});
  }
  write_features(dir / "f.h5", kNetwork, entries);
  auto back = read_features(dir / "f.h5", kNetwork, large, DType::f32, kAll);
  ASSERT_EQ(back.size(), 5u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(back[size_t(i)].value.data()[7], float(i));
  EXPECT_TRUE(Hdf5Reader(dir / "f.h5").has("/features/2"));
  for (DType dtype : {DType::bf16, DType::f16}) {
    write_features(dir / "g.h5", kNetwork, {{key_of(0), counted(kShape).to(dtype)}});
    auto one = read_features(dir / "g.h5", kNetwork, kShape, dtype, kAll);
    EXPECT_EQ(std::memcmp(one[0].value.raw(), counted(kShape).to(dtype).raw(), 12), 0);
  }
}

TEST(FeatureFile, OfMoreThanIsWantedTheMostRecentlyUsed) {
  Scratch dir;
  const Shape large{3, 1 << 20};  // 12 MB: two to a block
  std::vector<FeatureEntry> entries;
  for (int i = 0; i < 5; ++i) entries.push_back({key_of(i), Tensor::zeros(large)});
  for (int i = 0; i < 5; ++i) entries[size_t(i)].value.mutable_data()[9] = float(i);
  write_features(dir / "f.h5", kNetwork, entries);
  for (int64_t kept : {0, 1, 2, 3, 4, 5, 6}) {
    const int64_t room = kept * 12 * (1 << 20) + 17;
    auto back = read_features(dir / "f.h5", kNetwork, large, DType::f32, room);
    ASSERT_EQ(int64_t(back.size()), std::min<int64_t>(kept, 5));
    for (size_t i = 0; i < back.size(); ++i) {
      const int number = int(5 - back.size() + i);
      EXPECT_EQ(back[i].key, key_of(number));
      EXPECT_EQ(back[i].value.data()[9], float(number));
    }
  }
}

TEST(FeatureFile, WhatIsNotOursIsRefused) {
  Scratch dir;
  const fs::path path = dir / "f.h5";
  write_features(path, kNetwork, entries_of(0, 3));
  auto says = [&](const char* word, auto f) {
    EXPECT_NE(error_of(f).find(word), std::string::npos);
  };
  says("another network", [&] { read_features(path, kOther, kShape, DType::f32, kAll); });
  says("shape", [&] { read_features(path, kNetwork, {3, 2}, DType::f32, kAll); });
  says("shape", [&] { read_features(path, kNetwork, kShape, DType::bf16, kAll); });
  {
    Hdf5Writer file(path);
    file.attribute("/", "format", std::string("graft features"));
    file.attribute("/", "version", int64_t(99));
    file.commit();
  }
  says("version 99", [&] { read(path); });
  write_model_file(path, small_model());
  says("no file of features", [&] { read(path); });
  spill(path, "no HDF5 at all");
  error_of([&] { read(path); });
}

TEST(FeatureFile, CutAnywhereOrFlippedAnywhereItIsRefused) {
  Scratch dir;
  const fs::path path = dir / "f.h5";
  write_features(path, kNetwork, entries_of(0, 3));
  const std::string whole = slurp(path);
  Random random(1, "damage");
  for (int i = 0; i < 40; ++i) {
    spill(path, whole.substr(0, random.below(uint32_t(whole.size()))));
    error_of([&] { read(path); });
    std::string flipped = whole;
    flipped[random.below(uint32_t(whole.size()))] ^= char(1 << random.below(8));
    spill(path, flipped);
    error_of([&] { read(path); });
  }
  spill(path, whole);
  EXPECT_EQ(read(path).size(), 3u);
}

TEST(FeatureFolder, FindsWhatItWrote) {
  Scratch dir;
  FeatureFolder folder(dir / "cache", 1 << 20);
  EXPECT_TRUE(folder.read(kNetwork, kShape, DType::f32, kAll).empty());
  folder.write(kNetwork, entries_of(0, 5));
  FeatureFolder again(dir / "cache", 1 << 20);
  EXPECT_EQ(numbers(again.read(kNetwork, kShape, DType::f32, kAll)), numbers(entries_of(0, 5)));
  EXPECT_TRUE(again.read(kOther, kShape, DType::f32, kAll).empty());
}

TEST(FeatureFolder, OfTwoWritersNothingIsLost) {
  Scratch dir;
  FeatureFolder one(dir.path(), 1 << 20), two(dir.path(), 1 << 20);
  one.read(kNetwork, kShape, DType::f32, kAll), two.read(kNetwork, kShape, DType::f32, kAll);
  one.write(kNetwork, entries_of(0, 5));
  two.write(kNetwork, entries_of(3, 8));
  EXPECT_EQ(numbers(one.read(kNetwork, kShape, DType::f32, kAll)), numbers(entries_of(0, 8)));
}

TEST(FeatureFolder, OldestValuesAndOldestFilesMakeRoom) {
  Scratch dir;
  FeatureFolder folder(dir.path(), 10 * 24);
  folder.write(kNetwork, entries_of(0, 15));
  EXPECT_EQ(numbers(folder.read(kNetwork, kShape, DType::f32, kAll)), numbers(entries_of(5, 15)));
  spill(dir / "features-mine.h5", std::string(100000, 'x'));
  spill(dir / "model.h5", std::string(100000, 'x'));
  folder.write(kOther, entries_of(0, 2));  // a file alone is too large: the newest stays
  EXPECT_FALSE(fs::exists(folder.file(kNetwork)));
  EXPECT_TRUE(fs::exists(folder.file(kOther)));
  EXPECT_TRUE(fs::exists(dir / "features-mine.h5") && fs::exists(dir / "model.h5"));
}

TEST(FeatureFolder, WhatAnotherWroteFillsTheLimitAndNoMore) {
  Scratch dir;
  FeatureFolder one(dir.path(), 10 * 24), two(dir.path(), 10 * 24);
  one.write(kNetwork, entries_of(0, 8));
  two.write(kNetwork, entries_of(20, 25));
  EXPECT_EQ(numbers(two.read(kNetwork, kShape, DType::f32, kAll)),
            (std::vector<int>{3, 4, 5, 6, 7, 20, 21, 22, 23, 24}));
}

TEST(FeatureFolder, ALinkIsReplacedAndNotFollowed) {
  Scratch dir;
  FeatureFolder folder(dir / "cache", 1 << 20);
  spill(dir / "mine.txt", "mine");
  fs::create_symlink(dir / "mine.txt", folder.file(kNetwork));
  folder.write(kNetwork, entries_of(0, 5));
  EXPECT_EQ(slurp(dir / "mine.txt"), "mine");
  EXPECT_FALSE(fs::is_symlink(folder.file(kNetwork)));
  EXPECT_EQ(folder.read(kNetwork, kShape, DType::f32, kAll).size(), 5u);
}

TEST(FeatureFolder, SaysWhyNothingCanBeWritten) {
  Scratch dir;
  EXPECT_EQ(FeatureFolder(dir / "cache", 1 << 20).refusal(), "");
  spill(dir / "file", "x");
  for (const char* name : {"file", "file/below"})
    EXPECT_NE(FeatureFolder(dir / name, 1 << 20).refusal().find(name), std::string::npos);
}

TEST(FeatureFolder, ADamagedFileIsReplaced) {
  Scratch dir;
  FeatureFolder folder(dir.path(), 1 << 20);
  folder.write(kNetwork, entries_of(0, 5));
  spill(folder.file(kNetwork), slurp(folder.file(kNetwork)).substr(0, 700));
  error_of([&] { folder.read(kNetwork, kShape, DType::f32, kAll); });
  folder.write(kNetwork, entries_of(0, 2));
  EXPECT_EQ(folder.read(kNetwork, kShape, DType::f32, kAll).size(), 2u);
}

}  // namespace
}  // namespace graft::test
