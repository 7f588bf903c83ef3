#include "io/crc32c.h"

#include <array>
#include <cstring>

namespace graft {
namespace {

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t r = i;
    for (int bit = 0; bit < 8; ++bit) r = (r >> 1) ^ (r & 1 ? 0x82f63b78u : 0);  // reflected
    table[i] = r;
  }
  return table;
}

uint32_t crc_plain(const uint8_t* p, size_t n, uint32_t r) {
  static constexpr auto table = make_table();
  for (; n > 0; --n, ++p) r = table[(r ^ *p) & 0xff] ^ (r >> 8);
  return r;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crc_sse42(const uint8_t* p, size_t n, uint32_t r) {
  uint64_t wide = r;
  for (; n >= 8; n -= 8, p += 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    wide = __builtin_ia32_crc32di(wide, word);
  }
  r = uint32_t(wide);
  for (; n > 0; --n, ++p) r = __builtin_ia32_crc32qi(r, *p);
  return r;
}
#endif

}  // namespace

uint32_t crc32c(const void* data, size_t bytes, uint32_t crc) {
  const uint8_t* p = static_cast<const uint8_t*>(data);
#if defined(__x86_64__)
  static const bool fast = __builtin_cpu_supports("sse4.2");
  if (fast) return ~crc_sse42(p, bytes, ~crc);
#endif
  return ~crc_plain(p, bytes, ~crc);
}

}  // namespace graft
