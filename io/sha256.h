// SHA-256 (FIPS 180-4), to prove that bytes are the same bytes: frozen tensors, files of origin.
// Uses the processor's SHA instructions where it has them.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace graft {

class Sha256 {
 public:
  void add(const void* data, size_t bytes);
  std::string hex();  // finishes: 64 lower-case digits
  std::array<uint8_t, 32> digest();  // finishes: the same as bytes

 private:
  void finish();
  std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> pending_{};  // the first total_ % 64 bytes are valid
  uint64_t total_ = 0;                 // bytes added
};

std::string sha256(const void* data, size_t bytes);
std::string sha256_of_file(const std::string& path);

}  // namespace graft
