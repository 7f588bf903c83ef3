#include "apps/draw.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <fstream>

#include "core/check.h"
#include "core/random.h"

namespace graft::app {
namespace {

struct Colour {  // 0..1 each
  float r = 0, g = 0, b = 0;
};

Colour mix(Colour a, Colour b, float t) {
  return {std::lerp(a.r, b.r, t), std::lerp(a.g, b.g, t), std::lerp(a.b, b.b, t)};
}
Colour operator*(Colour c, float f) { return {c.r * f, c.g * f, c.b * f}; }
float brightness(Colour c) { return 0.299f * c.r + 0.587f * c.g + 0.114f * c.b; }

Colour from_hue(float hue, float saturation, float value) {
  auto channel = [&](float shift) {
    float k = std::fmod(shift + hue * 6 + 6, 6.0f);
    return value * (1 - saturation * std::clamp(std::min(k, 4 - k), 0.0f, 1.0f));
  };
  return {channel(5), channel(3), channel(1)};
}

// Everything that differs between two pictures of one subject.
struct Scene {
  float xx, xy, yx, yy, left, top;     // from the picture (-1..1) to the subject
  float unit;                          // length in the subject of half the picture's side
  std::array<Colour, 4> paint, under;  // by Paint; `under` shows through the texture
  float texture_scale, texture_phase, warp, warp_phase;
  Point light, shadow;
  int backdrop;  // kind
  std::array<Colour, 3> back;
  float back_scale, back_turn, horizon, grain, exposure, contrast;
  uint32_t seed;
};

void set_pose(Scene& s, Random& random) {
  float angle = 0.36f * random.normal(), shear = random.uniform(-0.2f, 0.2f);
  float size = random.uniform(0.58f, 0.92f), aspect = random.uniform(0.85f, 1.18f);
  float flip = random.below(2) ? 1.0f : -1.0f;
  float c = std::cos(angle) / size, n = std::sin(angle) / size;
  s.xx = flip * c * aspect, s.xy = flip * (n + shear * c) * aspect;
  s.yx = -n / aspect, s.yy = (c - shear * n) / aspect;
  s.left = random.uniform(-0.22f, 0.22f), s.top = random.uniform(-0.22f, 0.22f);
  s.unit = 1 / size;
  s.warp = random.uniform(0.0f, 0.07f), s.warp_phase = random.uniform(0.0f, 6.28f);
}

Colour any_colour(Random& random, float low, float high, float vivid = 0.9f) {
  float hue = random.uniform(), saturation = random.uniform(0.1f, vivid);
  return from_hue(hue, saturation, random.uniform(low, high));
}

// A thing must stand out from what is behind it.
Colour set_off(Colour c, Colour from) {
  float gap = brightness(c) - brightness(from);
  if (std::abs(gap) > 0.2f) return c;
  return brightness(from) > 0.5f ? c * 0.45f : mix(c, {1, 1, 1}, 0.5f);
}

void set_colours(Scene& s, Random& random) {
  for (Colour& c : s.back) c = any_colour(random, 0.2f, 0.95f, 0.65f);
  s.back[1] = mix(s.back[0], s.back[1], 0.55f);
  Colour around = mix(s.back[0], s.back[1], 0.5f);
  s.paint[0] = set_off(any_colour(random, 0.3f, 1), around);
  s.paint[1] = set_off(any_colour(random, 0.3f, 1), around);
  s.paint[2] = any_colour(random, 0.05f, 0.25f);
  s.paint[3] = mix(any_colour(random, 0.8f, 1), {1, 1, 1}, 0.6f);
  float strength = random.uniform(0.45f, 0.85f);
  for (int i = 0; i < 4; ++i) {
    Colour other =
        brightness(s.paint[i]) > 0.45f ? s.paint[i] * 0.25f : mix(s.paint[i], {1, 1, 1}, 0.8f);
    s.under[i] = mix(s.paint[i], other, strength);
  }
}

Scene make_scene(Random random) {
  Scene s;
  set_pose(s, random);
  set_colours(s, random);
  s.texture_scale = random.uniform(0.8f, 1.3f), s.texture_phase = random.uniform(0.0f, 6.28f);
  float towards = random.uniform(0.0f, 6.28f), strength = random.uniform(0.1f, 0.35f);
  s.light = {strength * std::cos(towards), strength * std::sin(towards)};
  s.shadow = {-0.5f * s.light.x, -0.5f * s.light.y};
  s.backdrop = int(random.below(6));
  s.back_scale = random.uniform(1.5f, 4.5f), s.back_turn = random.uniform(0.0f, 3.14f);
  s.horizon = random.uniform(-0.3f, 0.6f);
  s.grain = random.uniform(0.01f, 0.06f);
  s.exposure = random.uniform(0.8f, 1.15f), s.contrast = random.uniform(0.75f, 1.1f);
  s.seed = random.next();
  return s;
}

Colour backdrop(const Scene& s, Point p) {
  float u = p.x * std::cos(s.back_turn) + p.y * std::sin(s.back_turn);
  float v = p.y * std::cos(s.back_turn) - p.x * std::sin(s.back_turn);
  float k = s.back_scale, cloud = clouds({k * p.x, k * p.y}, s.seed);
  Colour a = s.back[0], b = s.back[1];
  switch (s.backdrop) {
    case 0:
      return mix(a, b, 0.5f + 0.5f * u);  // a wall
    case 1:
      return mix(a, b, smooth_step(0.3f, 0.7f, cloud));  // leaves, stone
    case 2:
      return p.y < s.horizon ? mix(a, b, cloud) : s.back[2] * (0.6f + 0.4f * cloud);  // land
    case 3:
      return mix(a, b, 0.5f + 0.3f * std::sin(3 * k * u) + 0.3f * (cloud - 0.5f));  // planks
    case 4:
      return mix(a, b, 0.5f + 0.25f * std::sin(3 * k * u) + 0.25f * std::sin(3 * k * v));  // cloth
    default: {  // lights out of focus
      float x = k * u, y = k * v, i = std::floor(x), j = std::floor(y);
      float r = 0.2f + 0.3f * noise({7 * i, 7 * j}, s.seed);
      float spot = 1 - smooth_step(r - 0.06f, r, std::hypot(x - i - 0.5f, y - j - 0.5f));
      return mix(mix(a, b, cloud), s.back[2], 0.6f * spot);
    }
  }
}

Point to_subject(const Scene& s, Point p) {
  p = {p.x - s.left, p.y - s.top};
  Point q{s.xx * p.x + s.xy * p.y, s.yx * p.x + s.yy * p.y};
  return {q.x + s.warp * std::sin(2.5f * q.y + s.warp_phase),
          q.y + s.warp * std::sin(2.5f * q.x + 2 * s.warp_phase)};
}

// The subject over the backdrop; `pixel` is the side of one in the subject's coordinates.
Colour look(const Scene& s, const Subject& subject, Point p, float pixel) {
  Point q = to_subject(s, p), below = to_subject(s, {p.x + s.shadow.x, p.y + s.shadow.y});
  float nearest = 9;
  for (const Part& part : subject.parts) nearest = std::min(nearest, distance(part, below));
  Colour seen = backdrop(s, p) * (1 - 0.45f * (1 - smooth_step(-0.15f, 0.2f, nearest)));
  float lit = 1 + s.light.x * p.x + s.light.y * p.y;
  for (const Part& part : subject.parts) {
    float d = distance(part, q), cover = std::clamp(0.5f - d / pixel, 0.0f, 1.0f);
    if (cover == 0) continue;
    float second = texture_at(part.texture, q, s.texture_scale, s.texture_phase, s.seed);
    Colour c = mix(s.paint[int(part.paint)], s.under[int(part.paint)], second);
    float round = 1 - 0.4f * smooth_step(-0.16f, 0, d);  // darker towards its edge
    seen = mix(seen, c * (round * lit), cover);
  }
  return seen;
}

uint8_t exposed(const Scene& s, float value, float grain) {
  value = 0.5f + s.contrast * (s.exposure * value - 0.5f) + grain;
  return uint8_t(std::clamp(value, 0.0f, 1.0f) * 255 + 0.5f);
}

}  // namespace

Image draw(const Subject& subject, uint64_t seed, uint64_t index, int side) {
  Scene s = make_scene(Random(seed, "scene of " + subject.name, index));
  Random camera(seed, "camera on " + subject.name, index);
  Image image(side, side);
  uint8_t* out = image.rgb.get();
  float pixel = 2 * s.unit / float(side);
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      Point p{(2 * float(x) + 1) / float(side) - 1, (2 * float(y) + 1) / float(side) - 1};
      Colour c = look(s, subject, p, pixel);
      for (float value : {c.r, c.g, c.b}) *out++ = exposed(s, value, s.grain * camera.normal());
    }
  }
  return image;
}

void write_bmp(const std::filesystem::path& path, const Image& image) {
  size_t row = (size_t(image.width) * 3 + 3) / 4 * 4;  // bytes, padded
  std::string file(54 + row * size_t(image.height), '\0');
  auto put = [&](size_t at, size_t bytes, uint32_t value) {
    for (size_t i = 0; i < bytes; ++i) file[at + i] = char(value >> (8 * i));
  };
  put(0, 2, 'B' | 'M' << 8), put(2, 4, uint32_t(file.size())), put(10, 4, 54);
  put(14, 4, 40), put(18, 4, uint32_t(image.width)), put(22, 4, uint32_t(image.height));
  put(26, 2, 1), put(28, 2, 24);            // planes, bits per pixel
  for (int y = 0; y < image.height; ++y) {  // from the bottom up, blue first
    const uint8_t* from = image.rgb.get() + size_t(image.height - 1 - y) * size_t(image.width) * 3;
    char* to = file.data() + 54 + row * size_t(y);
    for (int x = 0; x < image.width * 3; ++x) to[x] = char(from[x / 3 * 3 + 2 - x % 3]);
  }
  std::ofstream stream(path, std::ios::binary);
  stream.write(file.data(), std::streamsize(file.size()));
  if (!stream.flush()) fail(Fault::io, "{}: cannot write: {}", path.string(), std::strerror(errno));
}

Image contact_sheet(std::span<const Subject> subjects, uint64_t seed, int side) {
  constexpr int kAcross = 3, kEach = 4, kGap = 6;  // gaps in pixels
  int rows = (int(subjects.size()) + kAcross - 1) / kAcross, group = kEach * side + kGap;
  Image sheet(kAcross * group + kGap, rows * (side + kGap) + kGap);
  std::memset(sheet.rgb.get(), 255, sheet.bytes());
  for (int i = 0; i < int(subjects.size()) * kEach; ++i) {
    int subject = i / kEach, left = kGap + subject % kAcross * group + i % kEach * side;
    int top = kGap + subject / kAcross * (side + kGap);
    Image picture = draw(subjects[size_t(subject)], seed, uint64_t(i % kEach), side);
    for (int y = 0; y < side; ++y)
      std::memcpy(sheet.rgb.get() + (int64_t(top + y) * sheet.width + left) * 3,
                  picture.rgb.get() + int64_t(y) * side * 3, size_t(side) * 3);
  }
  return sheet;
}

}  // namespace graft::app
