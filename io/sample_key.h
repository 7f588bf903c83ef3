// Which pixels a sample shows: 32 bytes that differ whenever the bytes of its file do, or the
// random changes that are made to them.
#pragma once
#include <array>
#include <cstdint>
#include <cstring>

namespace graft {

using SampleKey = std::array<uint8_t, 32>;

struct SampleKeyHash {  // a key is a SHA-256: any of its bytes will do
  size_t operator()(const SampleKey& key) const {
    size_t value;
    std::memcpy(&value, key.data(), sizeof value);
    return value;
  }
};

}  // namespace graft
