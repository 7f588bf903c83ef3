#include <gtest/gtest.h>

#include <set>

#include "models/catalogue.h"
#include "models/zoo.h"
#include "tests/io_scratch.h"

namespace graft {
namespace {

const ZooRow* row_of(const std::string& architecture) {
  for (const ZooRow& row : zoo())
    if (row.name == architecture) return &row;
  return nullptr;
}

TEST(Catalogue, EveryEntryIsWhole) {
  std::set<std::string> names, urls;
  for (const PublishedWeights& w : read_catalogue()) {
    EXPECT_TRUE(names.insert(w.name).second) << w.name;
    EXPECT_TRUE(urls.insert(w.url).second) << w.url;
    EXPECT_TRUE(w.name.starts_with(w.architecture + ".")) << w.name;
    EXPECT_TRUE(w.url.starts_with("https://")) << w.url;
    EXPECT_GE(w.sha256.size(), 8u) << w.name;
    EXPECT_TRUE(w.url.find(w.sha256) != w.url.npos) << w.url;
    EXPECT_TRUE(w.top1 > 40 && w.top1 < w.top5 && w.top5 < 100) << w.name;
    EXPECT_FALSE(w.licence.empty()) << w.name;
  }
}

TEST(Catalogue, AnArchitectureHasOneBestEntry) {
  std::map<std::string, int> best;
  for (const PublishedWeights& w : read_catalogue()) best[w.architecture] += w.preferred;
  for (auto& [architecture, count] : best) EXPECT_EQ(count, 1) << architecture;
  auto all = read_catalogue();
  EXPECT_EQ(find_weights(all, "resnet50").name, "resnet50.imagenet1k_v2");
  EXPECT_EQ(find_weights(all, "resnet50.imagenet1k_v1").preprocess.resize, 256);
}

// What a network's input means does not depend on which of its weights are taken.
TEST(Catalogue, InputsMeanWhatTheZooSays) {
  int compared = 0;
  for (const PublishedWeights& w : read_catalogue()) {
    const ZooRow* row = row_of(w.architecture);
    if (!row) continue;
    EXPECT_EQ(w.preprocess.mean, row->preprocess.mean) << w.name;
    EXPECT_EQ(w.preprocess.std, row->preprocess.std) << w.name;
    ++compared;
  }
  EXPECT_GT(compared, 80);
}

TEST(Catalogue, AFileIsKnownByItsHash) {
  test::Scratch folder;
  const std::string file = (folder / "some.pth").string();
  std::ofstream(file) << "abc";
  PublishedWeights w{.name = "resnet50.v9", .architecture = "resnet50"};
  w.sha256 = "ba7816bf8f";  // FIPS 180-2, B.1
  EXPECT_EQ(published_in({{}, w}, "resnet50", file)->name, "resnet50.v9");
  EXPECT_EQ(published_in({w}, "resnet18", file), nullptr);
  std::ofstream(file) << "abd";
  EXPECT_EQ(published_in({w}, "resnet50", file), nullptr);
}

}  // namespace
}  // namespace graft
