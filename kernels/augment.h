// From decoded pixels to what a network eats.
#pragma once
#include <cmath>
#include <cstdint>

namespace graft {

struct Normalization {  // (pixel scale - mean) / std per channel, after a swap of 0 and 2 if bgr
  float scale;  // where 1 / scale is a whole number, pixels are divided by it: exact as u8 / 255
  float mean[3], std[3];
  bool bgr = false;
};

// There are only 768 different results: the same bits on every device.
struct PixelTable {
  float of[3][256];  // channel, pixel
};

inline PixelTable pixel_table(const Normalization& n) {
  PixelTable table;
  const float inverse = std::round(1.0f / n.scale);
  const bool divide = n.scale == 1.0f / inverse;
  for (int c = 0; c < 3; ++c) {
    for (int value = 0; value < 256; ++value) {
      volatile float x = divide ? float(value) / inverse : float(value) * n.scale;  // rounded here
      table.of[c][value] = (x - n.mean[c]) / n.std[c];
    }
  }
  return table;
}

namespace cpu {

// pixels (count, 3) u8 -> y (count, 3).
void normalize(const Normalization& n, int64_t count, const uint8_t* pixels, float* y);

}  // namespace cpu
}  // namespace graft
