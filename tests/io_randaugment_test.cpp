#include "io/randaugment.h"

#include <gtest/gtest.h>

#include <set>

#include "core/check.h"
#include "tests/image_files.h"
#include "tests/npy.h"

namespace graft {
namespace {

using Pixels = std::vector<uint8_t>;

TEST(RandAugment, EqualsPil) {
  std::string folder = test::reference_folder();
  if (folder.empty()) GTEST_SKIP() << "GRAFT_REFERENCE_DIR is not set";
  const Pixels rgb = test::read_npy(folder + "/rand_in.npy").values;
  int number = 0;
  for (const std::string& line : test::lines_of(folder + "/rand.txt")) {
    int change;
    double amount;
    ASSERT_EQ(std::sscanf(line.c_str(), "%d %lf", &change, &amount), 2);
    Pixels out = rgb;
    apply_change(RandChange(change), amount, out.data(), 61);
    Pixels want = test::read_npy(fmt::format("{}/rand_{}.npy", folder, number++)).values;
    EXPECT_EQ(out, want) << line;
  }
  EXPECT_GT(number, 60);
}

// torchvision's magnitudes at 9 of 31 for 224 pixels.
TEST(RandAugment, AmountsAreTorchvisions) {
  EXPECT_NEAR(rand_amount(RandChange::shear_x, 9, 224), 0.09, 1e-12);
  EXPECT_NEAR(rand_amount(RandChange::translate_y, 9, 224), 30.4532, 1e-4);
  EXPECT_NEAR(rand_amount(RandChange::rotate, 9, 224), 9, 1e-12);
  EXPECT_NEAR(rand_amount(RandChange::contrast, 9, 224), 0.27, 1e-12);
  EXPECT_EQ(rand_amount(RandChange::posterise, 9, 224), 7);
  EXPECT_NEAR(rand_amount(RandChange::solarise, 9, 224), 178.5, 1e-12);
  EXPECT_EQ(rand_amount(RandChange::equalise, 9, 224), 0);
}

TEST(RandAugment, IsAFunctionOfItsRandomNumbers) {
  std::set<Pixels> seen;
  Pixels start(32 * 32 * 3);
  for (size_t i = 0; i < start.size(); ++i) start[i] = uint8_t(i * 7 % 251);
  for (uint64_t i = 0; i < 40; ++i) {
    Pixels a = start, b = start;
    Random one(1, "augment", i), two(1, "augment", i);
    rand_augment({}, one, a.data(), 32), rand_augment({}, two, b.data(), 32);
    EXPECT_EQ(a, b);
    seen.insert(a);
  }
  EXPECT_GT(seen.size(), 25u);
}

}  // namespace
}  // namespace graft
