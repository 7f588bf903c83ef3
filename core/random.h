// Counter-based random numbers (Philox4x32-10, Salmon et al., SC'11): a stream is a pure function
// of (seed, purpose, index), so what is drawn never depends on threads or on what was drawn before.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace graft {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

class Random {
 public:
  Random(uint64_t seed, std::string_view purpose, uint64_t index = 0);

  uint32_t next();
  float uniform();                      // [0, 1), 24 bits
  float uniform(float low, float high);
  float normal();                       // mean 0, deviation 1
  uint64_t below(uint64_t n);           // [0, n), unbiased

  std::array<uint32_t, 2> key() const { return key_; }  // for kernels that run the counter themselves

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;     // (block, block, index, index)
  std::array<uint32_t, 4> block_{};
  int used_ = 4;                        // of block_
};

}  // namespace graft
