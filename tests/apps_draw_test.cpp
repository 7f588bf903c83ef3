// The pictures of graft demo: the same from the same seed, different from class to class, and no
// class of the target in the source.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>

#include "apps/demo_folder.h"
#include "apps/draw.h"
#include "core/check.h"
#include "io/dataset.h"

namespace graft::app {
namespace {

constexpr int kSide = 32;

bool equal(const Image& a, const Image& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.rgb.get(), b.rgb.get(), a.bytes()) == 0;
}

// Root of the mean squared difference, in levels of 255.
double difference(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.bytes(); ++i) sum += std::pow(double(a.rgb[i]) - b.rgb[i], 2);
  return std::sqrt(sum / double(a.bytes()));
}

std::vector<Subject> all_subjects() {
  std::vector<Subject> all(source_subjects().begin(), source_subjects().end());
  all.insert(all.end(), target_subjects().begin(), target_subjects().end());
  return all;
}

std::filesystem::path scratch(const std::string& name) {
  std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / ("graft_draw_" + name);
  std::filesystem::remove_all(folder);
  return folder;
}

TEST(Draw, SameSeedSameBytes) {
  for (const Subject& subject : all_subjects())
    EXPECT_TRUE(equal(draw(subject, 7, 3, kSide), draw(subject, 7, 3, kSide))) << subject.name;
}

TEST(Draw, SeedAndIndexMatter) {
  const Subject& fish = source_subjects()[0];
  Image picture = draw(fish, 7, 3, kSide);
  EXPECT_GT(difference(picture, draw(fish, 8, 3, kSide)), 10);
  EXPECT_GT(difference(picture, draw(fish, 7, 4, kSide)), 10);
}

// A class named like another gets its scene, so that only the things themselves differ.
TEST(Draw, ClassesDifferInTheSameScene) {
  std::vector<Image> pictures;
  for (const Subject& subject : all_subjects())
    pictures.push_back(draw({"same", subject.parts}, 1, 0, kSide));
  for (size_t a = 0; a < pictures.size(); ++a)
    for (size_t b = 0; b < a; ++b)
      EXPECT_GT(difference(pictures[a], pictures[b]), 6)
          << all_subjects()[a].name << " and " << all_subjects()[b].name;
}

TEST(Draw, EverySubjectStandsInItsPicture) {
  for (const Subject& subject : all_subjects())
    EXPECT_GT(difference(draw(subject, 2, 0, kSide), draw({subject.name, {}}, 2, 0, kSide)), 8)
        << subject.name;
}

TEST(Draw, TargetNeverOccursInSource) {
  std::set<std::string> names;
  for (const Subject& subject : all_subjects())
    EXPECT_TRUE(names.insert(subject.name).second) << subject.name;
  for (std::span<const Subject> subjects : {source_subjects(), target_subjects()})
    EXPECT_TRUE(std::is_sorted(subjects.begin(), subjects.end(),
                               [](const Subject& a, const Subject& b) { return a.name < b.name; }));
  EXPECT_GE(source_subjects().size(), 24u);
  EXPECT_GE(target_subjects().size(), 6u);
}

TEST(Draw, BmpIsReadBackExactly) {
  Image picture = draw(source_subjects()[3], 0, 0, 31);  // rows are padded
  std::string path = scratch("picture.bmp").string();
  write_bmp(path, picture);
  EXPECT_TRUE(equal(picture, read_image(path)));
  EXPECT_THROW(write_bmp("/nowhere/picture.bmp", picture), Error);
}

TEST(Draw, SheetShowsEveryClass) {
  Image sheet = contact_sheet(source_subjects().first(4), 0, kSide);
  EXPECT_EQ(sheet.width, 3 * (4 * kSide + 6) + 6);
  EXPECT_EQ(sheet.height, 2 * (kSide + 6) + 6);
  EXPECT_EQ(sheet.rgb[sheet.bytes() - 1], 255);  // no class there
}

TEST(DemoFolder, IsADataSet) {
  std::filesystem::path folder = scratch("folder");
  DemoFolder demo(folder);
  demo.draw_pictures("target-1", target_subjects().first(3), 5, 2, 4);
  Split split = open_split(demo.path("target-1"));
  EXPECT_EQ(split.train.samples.size(), 6u);
  EXPECT_EQ(split.val.samples.size(), 12u);
  EXPECT_EQ(split.train.classes.size(), 3u);
  EXPECT_EQ(count_shared(split.train, split.val), 0);
}

TEST(DemoFolder, LeavesOtherFoldersAlone) {
  std::filesystem::path folder = scratch("mine");
  std::filesystem::create_directories(folder / "photos");
  EXPECT_THROW(DemoFolder demo(folder), Error);
  EXPECT_TRUE(std::filesystem::exists(folder / "photos"));
}

TEST(DemoFolder, ReplacesAnEarlierDemoOnly) {
  std::filesystem::path folder = scratch("again");
  { DemoFolder(folder).draw_pictures("source", source_subjects().first(1), 0, 1, 1); }
  std::filesystem::create_directories(folder / "run");
  DemoFolder demo(folder);
  EXPECT_FALSE(std::filesystem::exists(folder / "source"));
  EXPECT_TRUE(std::filesystem::exists(folder / "run"));
}

}  // namespace
}  // namespace graft::app
