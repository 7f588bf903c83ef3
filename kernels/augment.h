// From decoded pixels to what a network eats.
#pragma once
#include <cstdint>

namespace graft {

struct Normalization {  // (pixel scale - mean) / std per channel, after a swap of 0 and 2 if bgr
  float scale;  // where 1 / scale is a whole number, pixels are divided by it: exact as u8 / 255
  float mean[3], std[3];
  bool bgr = false;
};

namespace cpu {

// pixels (count, 3) u8 -> y (count, 3).
void normalize(const Normalization& n, int64_t count, const uint8_t* pixels, float* y);

}  // namespace cpu
}  // namespace graft
