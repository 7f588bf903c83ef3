#include "core/random.h"

#include <cmath>
#include <numbers>

namespace graft {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    uint64_t a = uint64_t(0xD2511F53u) * c[0];
    uint64_t b = uint64_t(0xCD9E8D57u) * c[2];
    c = {uint32_t(b >> 32) ^ c[1] ^ k[0], uint32_t(b), uint32_t(a >> 32) ^ c[3] ^ k[1], uint32_t(a)};
    k = {k[0] + 0x9E3779B9u, k[1] + 0xBB67AE85u};
  }
  return c;
}

Random::Random(uint64_t seed, std::string_view purpose, uint64_t index) {
  uint64_t hash = 0xcbf29ce484222325u ^ (seed * 0x9E3779B97F4A7C15u);  // FNV-1a over the purpose
  for (unsigned char byte : purpose) hash = (hash ^ byte) * 0x100000001b3u;
  key_ = {uint32_t(hash), uint32_t(hash >> 32)};
  counter_ = {0, 0, uint32_t(index), uint32_t(index >> 32)};
}

uint32_t Random::next() {
  if (used_ == 4) {
    block_ = philox(counter_, key_);
    if (++counter_[0] == 0) ++counter_[1];
    used_ = 0;
  }
  return block_[used_++];
}

float Random::uniform() { return float(next() >> 8) * 0x1p-24f; }
float Random::uniform(float low, float high) { return low + (high - low) * uniform(); }

float Random::normal() {  // Box and Muller
  double u = (double(next()) + 1.0) * 0x1p-32, v = double(next()) * 0x1p-32;
  return float(std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v));
}

uint64_t Random::below(uint64_t n) {
  if (n <= 1) return 0;
  uint64_t limit = UINT64_MAX - UINT64_MAX % n, draw;
  do draw = uint64_t(next()) << 32 | next();
  while (draw >= limit);
  return draw % n;
}

}  // namespace graft
