// From decoded pixels to what a network eats.
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/runtime.h"

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

// A picture, decoded, and what of it becomes one image of a batch: the box `from` of it is
// resized to to_width x to_height; pixel (0, 0) of the image is (window_x, window_y) of that, and
// what lies outside is zero. As Geometry in io/transforms.h.
struct Cut {
  const uint8_t* rgb;  // (height, width, 3), rows `stride` bytes apart
  int64_t stride;
  int from_x, from_y, from_width, from_height;  // inside the picture, not empty
  int to_width, to_height;                      // at least 1
  int window_x, window_y;
  bool flip;  // left to right, at the end
};

namespace cpu {

// pixels (count, 3) u8 -> y (count, 3).
void normalize(const Normalization& n, int64_t count, const uint8_t* pixels, float* y);

}  // namespace cpu

namespace cuda {

// As above, in device memory; T is float, bf16 or f16.
template <class T>
void normalize(const Normalization& n, int64_t count, const uint8_t* pixels, T* y, Stream stream);

// cuts (count), in host memory and the same in the device's -> pixels (count, size, size, 3).
// Antialiased bilinear, byte for byte as io/resize.h. Throws std::invalid_argument for a box or size
// that cannot be.
void resize(int64_t count, const Cut* cuts, const Cut* device_cuts, int size, uint8_t* pixels,
            Stream stream);

}  // namespace cuda
}  // namespace graft
