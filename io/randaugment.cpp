#include "io/randaugment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "io/colour.h"

namespace graft {
namespace {

bool is_signed(RandChange c) { return c >= RandChange::shear_x && c <= RandChange::sharpness; }

// ---- geometry ---------------------------------------------------------------------------------

using Affine =
    std::array<double, 6>;  // where pixel (x, y) comes from: (a x + b y + c, d x + e y + f)

// PIL's transform by the nearest pixel, in its arithmetic: 16.16 integers.
void warp(const Affine& m, uint8_t* rgb, int side) {
  const std::vector<uint8_t> from(rgb, rgb + int64_t(side) * side * 3);
  auto fixed = [](double v) { return int64_t(std::floor(v * 65536 + 0.5)); };
  const int64_t a = fixed(m[0]), b = fixed(m[1]), d = fixed(m[3]), e = fixed(m[4]);
  int64_t row_x = fixed(m[2] + m[0] * 0.5 + m[1] * 0.5),
          row_y = fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
  for (int y = 0; y < side; ++y, row_x += b, row_y += e) {
    int64_t x_at = row_x, y_at = row_y;
    for (int x = 0; x < side; ++x, x_at += a, y_at += d) {
      const int64_t sx = x_at >> 16, sy = y_at >> 16;
      const bool inside = sx >= 0 && sx < side && sy >= 0 && sy < side;
      for (int c = 0; c < 3; ++c)
        rgb[(int64_t(y) * side + x) * 3 + c] = inside ? from[size_t((sy * side + sx) * 3 + c)] : 0;
    }
  }
}

// About the corner, as in the paper.
Affine sheared(double x, double y) { return {1, x, 0, y, 1, 0}; }

// PIL's rotate about the middle, counter-clockwise; it rounds what it has computed to 15 digits.
Affine rotated(double degrees, int side) {
  const double angle = -std::fmod(std::fmod(degrees, 360) + 360, 360) * std::numbers::pi / 180;
  auto rounded = [](double v) { return std::nearbyint(v * 1e15) / 1e15; };
  const double cosine = rounded(std::cos(angle)), sine = rounded(std::sin(angle)),
               middle = side / 2.0;
  return {cosine, sine,   -cosine * middle - sine * middle + middle,
          -sine,  cosine, sine * middle - cosine * middle + middle};
}

// ---- colours ----------------------------------------------------------------------------------

// PIL's blend with its SMOOTH filter, which leaves the pixels of the edge alone.
void sharpen(float factor, uint8_t* rgb, int side) {
  const std::vector<uint8_t> from(rgb, rgb + int64_t(side) * side * 3);
  const int64_t row = int64_t(side) * 3;
  for (int64_t i = 0; i < row * side; ++i) {
    const int64_t y = i / row, x = i % row / 3;
    if (y == 0 || x == 0 || y == side - 1 || x == side - 1) continue;
    int sum = 4 * from[size_t(i)];
    for (int64_t dy : {-row, int64_t(0), row})
      for (int64_t dx : {-3, 0, 3}) sum += from[size_t(i + dy + dx)];
    const float smooth = float(uint8_t(float(sum) / 13 + 0.5f));
    rgb[i] = uint8_t(std::clamp(smooth + factor * (float(from[size_t(i)]) - smooth), 0.0f, 255.0f));
  }
}

using Histogram = std::array<int64_t, 256>;

Histogram histogram(const uint8_t* rgb, int64_t pixels, int channel) {
  Histogram h{};
  for (int64_t i = 0; i < pixels; ++i) ++h[rgb[i * 3 + channel]];
  return h;
}

// Makes a table of each channel's histogram and looks every value up in it.
template <class Table>
void look_up(uint8_t* rgb, int64_t pixels, const Table& table_of) {
  for (int c = 0; c < 3; ++c) {
    const std::array<uint8_t, 256> table = table_of(histogram(rgb, pixels, c));
    for (int64_t i = 0; i < pixels; ++i) rgb[i * 3 + c] = table[rgb[i * 3 + c]];
  }
}

std::array<uint8_t, 256> unchanged() {
  std::array<uint8_t, 256> table;
  for (int v = 0; v < 256; ++v) table[size_t(v)] = uint8_t(v);
  return table;
}

std::array<uint8_t, 256> stretched(const Histogram& h) {
  int low = 0, high = 255;
  while (low < 255 && h[size_t(low)] == 0) ++low;
  while (high > 0 && h[size_t(high)] == 0) --high;
  std::array<uint8_t, 256> table = unchanged();
  if (high <= low) return table;
  const double scale = 255.0 / (high - low), offset = -low * scale;
  for (int v = 0; v < 256; ++v)
    table[size_t(v)] = uint8_t(std::clamp(int(v * scale + offset), 0, 255));
  return table;
}

std::array<uint8_t, 256> equalised(const Histogram& h) {
  int64_t sum = 0, last = 0, values = 0;
  for (int64_t count : h) {
    sum += count;
    if (count) last = count, ++values;
  }
  const int64_t step = (sum - last) / 255;
  std::array<uint8_t, 256> table = unchanged();
  if (values <= 1 || step == 0) return table;
  int64_t n = step / 2;
  for (int v = 0; v < 256; n += h[size_t(v++)])
    table[size_t(v)] = uint8_t(std::min<int64_t>(n / step, 255));
  return table;
}

}  // namespace

double rand_amount(RandChange change, int strength, int side) {
  const double part = double(strength) / kRandStrengths;
  switch (change) {
    case RandChange::shear_x:
    case RandChange::shear_y:
      return 0.3 * part;
    case RandChange::translate_x:
    case RandChange::translate_y:
      return 150.0 / 331 * side * part;
    case RandChange::rotate:
      return 30 * part;
    case RandChange::brightness:
    case RandChange::colour:
    case RandChange::contrast:
    case RandChange::sharpness:
      return 0.9 * part;
    case RandChange::posterise:
      return 8 - std::nearbyint(strength / (kRandStrengths / 4.0));
    case RandChange::solarise:
      return 255 * (1 - part);
    default:
      return 0;
  }
}

void apply_change(RandChange change, double amount, uint8_t* rgb, int side) {
  const int64_t pixels = int64_t(side) * side;
  const float factor = float(1 + amount);
  switch (change) {
    case RandChange::identity:
      return;
    case RandChange::shear_x:
      return warp(sheared(amount, 0), rgb, side);
    case RandChange::shear_y:
      return warp(sheared(0, amount), rgb, side);
    case RandChange::translate_x:
      return warp({1, 0, -double(int(amount)), 0, 1, 0}, rgb, side);
    case RandChange::translate_y:
      return warp({1, 0, 0, 0, 1, -double(int(amount))}, rgb, side);
    case RandChange::rotate:
      return warp(rotated(amount, side), rgb, side);
    case RandChange::brightness:
      return change_brightness(factor, rgb, pixels);
    case RandChange::colour:
      return change_saturation(factor, rgb, pixels);
    case RandChange::contrast:
      return change_contrast(factor, rgb, pixels);
    case RandChange::sharpness:
      return sharpen(factor, rgb, side);
    case RandChange::posterise:
      for (int64_t i = 0; i < pixels * 3; ++i) rgb[i] &= uint8_t(~((1 << (8 - int(amount))) - 1));
      return;
    case RandChange::solarise:
      for (int64_t i = 0; i < pixels * 3; ++i)
        rgb[i] = rgb[i] < amount ? rgb[i] : uint8_t(255 - rgb[i]);
      return;
    case RandChange::autocontrast:
      return look_up(rgb, pixels, stretched);
    case RandChange::equalise:
      return look_up(rgb, pixels, equalised);
  }
}

void rand_augment(const RandAugment& spec, Random& random, uint8_t* rgb, int side) {
  for (int i = 0; i < spec.changes; ++i) {
    const auto change = RandChange(random.below(kRandChanges));
    const bool backwards = random.below(2) == 1;
    const double amount = rand_amount(change, spec.strength, side);
    apply_change(change, is_signed(change) && backwards ? -amount : amount, rgb, side);
  }
}

}  // namespace graft
