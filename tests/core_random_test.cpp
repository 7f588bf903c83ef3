// Philox against the known answers of Random123, and what streams promise.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "core/random.h"

namespace graft {
namespace {

using Words = std::array<uint32_t, 4>;

TEST(Random, PhiloxKnownAnswers) {  // kat_vectors of Random123 (Salmon et al., SC'11), 10 rounds
  constexpr uint32_t ones = 0xffffffffu;
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({ones, ones, ones, ones}, {ones, ones}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

std::vector<uint32_t> draws(Random random, int count) {
  std::vector<uint32_t> words;
  for (int i = 0; i < count; ++i) words.push_back(random.next());
  return words;
}

TEST(Random, AStreamIsAFunctionOfItsName) {
  EXPECT_EQ(draws(Random(1, "shuffle", 2), 100), draws(Random(1, "shuffle", 2), 100));
}

TEST(Random, StreamsDiffer) {
  std::set<std::vector<uint32_t>> streams;
  for (uint64_t seed : {0, 1, 2})
    for (const char* purpose : {"", "shuffle", "dropout"})
      for (uint64_t index : {uint64_t(0), uint64_t(1), uint64_t(1) << 32})
        streams.insert(draws(Random(seed, purpose, index), 8));
  EXPECT_EQ(streams.size(), 27u);
}

TEST(Random, StreamsAreUncorrelated) {
  Random a(5, "x", 0), b(5, "x", 1);
  double product = 0;
  constexpr int n = 20000;
  for (int i = 0; i < n; ++i) product += double(a.normal()) * double(b.normal()) / n;
  EXPECT_NEAR(product, 0, 4 / std::sqrt(double(n)));
}

TEST(Random, Moments) {
  Random random(3, "moments");
  double mean = 0, square = 0, uniform = 0;
  constexpr int n = 40000;
  for (int i = 0; i < n; ++i) {
    double x = double(random.normal());
    float u = random.uniform();
    ASSERT_TRUE(u >= 0 && u < 1);
    mean += x / n, square += x * x / n, uniform += double(u) / n;
  }
  EXPECT_NEAR(mean, 0, 0.02);
  EXPECT_NEAR(square, 1, 0.03);
  EXPECT_NEAR(uniform, 0.5, 0.006);
}

TEST(Random, BelowIsUniform) {
  Random random(3, "below");
  std::vector<int> count(7);
  for (int i = 0; i < 7000; ++i) ++count.at(random.below(7));
  for (int c : count) EXPECT_NEAR(c, 1000, 150);
  EXPECT_EQ(random.below(1), 0u);
  EXPECT_EQ(random.below(0), 0u);
  EXPECT_LT(random.below(uint64_t(1) << 63), uint64_t(1) << 63);
}

}  // namespace
}  // namespace graft
