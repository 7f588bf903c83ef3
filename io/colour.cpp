#include "io/colour.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace graft {
namespace {

// ITU-R 601-2 luma in 16-bit integers, as PIL's conversion to "L".
int grey_of(const uint8_t* p) { return (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16; }

// From `towards` to `value` and beyond: PIL's blend, which cuts the fraction off.
uint8_t blend(float towards, uint8_t value, float factor) {
  return uint8_t(std::clamp(towards + factor * (value - towards), 0.0f, 255.0f));
}

float factor_of(float strength, Random& random) {
  return random.uniform(std::max(0.0f, 1 - strength), 1 + strength);
}

}  // namespace

void change_brightness(float factor, uint8_t* rgb, int64_t pixels) {
  for (int64_t i = 0; i < pixels * 3; ++i) rgb[i] = blend(0, rgb[i], factor);
}

void change_contrast(float factor, uint8_t* rgb, int64_t pixels) {
  int64_t sum = 0;
  for (int64_t i = 0; i < pixels; ++i) sum += grey_of(rgb + i * 3);
  float mean = float(int(double(sum) / double(pixels) + 0.5));
  for (int64_t i = 0; i < pixels * 3; ++i) rgb[i] = blend(mean, rgb[i], factor);
}

void change_saturation(float factor, uint8_t* rgb, int64_t pixels) {
  for (int64_t i = 0; i < pixels; ++i) {
    uint8_t* p = rgb + i * 3;
    float grey = float(grey_of(p));
    for (int c = 0; c < 3; ++c) p[c] = blend(grey, p[c], factor);
  }
}

// Through hue, saturation, value in float; value and saturation stay as they are.
void turn_hue(float turn, uint8_t* rgb, int64_t pixels) {
  if (turn == 0) return;
  for (int64_t i = 0; i < pixels; ++i) {
    uint8_t* p = rgb + i * 3;
    float r = p[0], g = p[1], b = p[2];
    float high = std::max({r, g, b}), low = std::min({r, g, b}), range = high - low;
    if (range == 0) continue;
    float hue = high == r ? (g - b) / range : high == g ? 2 + (b - r) / range : 4 + (r - g) / range;
    hue += turn * 6;
    const float offsets[3] = {5, 3, 1};  // of red, green, blue on a circle of six
    for (int c = 0; c < 3; ++c) {
      float k = offsets[c] + hue;
      k -= 6 * std::floor(k / 6);
      p[c] = uint8_t(high - range * std::clamp(std::min(k, 4 - k), 0.0f, 1.0f) + 0.5f);
    }
  }
}

void jitter_colours(const ColourStrength& strength, Random& random, uint8_t* rgb, int64_t pixels) {
  std::array<int, 4> order{0, 1, 2, 3};
  for (size_t i = 3; i > 0; --i) std::swap(order[i], order[size_t(random.below(i + 1))]);
  float brightness = factor_of(strength.brightness, random);
  float contrast = factor_of(strength.contrast, random);
  float saturation = factor_of(strength.saturation, random);
  float turn = random.uniform(-strength.hue, strength.hue);
  for (int step : order) {
    if (step == 0 && strength.brightness > 0) change_brightness(brightness, rgb, pixels);
    if (step == 1 && strength.contrast > 0) change_contrast(contrast, rgb, pixels);
    if (step == 2 && strength.saturation > 0) change_saturation(saturation, rgb, pixels);
    if (step == 3 && strength.hue > 0) turn_hue(turn, rgb, pixels);
  }
}

}  // namespace graft
