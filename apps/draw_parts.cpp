#include "apps/draw_parts.h"

#include <algorithm>
#include <cmath>

namespace graft::app {
namespace {

constexpr float kPi = 3.14159265f;

Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
float dot(Point a, Point b) { return a.x * b.x + a.y * b.y; }
float cross(Point a, Point b) { return a.x * b.y - a.y * b.x; }
float length(Point a) { return std::hypot(a.x, a.y); }
Point polar(float r, float angle) { return {r * std::cos(angle), r * std::sin(angle)}; }

float ellipse_distance(Point p, Point r) {  // first order: f / |grad f|
  float k = std::hypot(p.x / r.x, p.y / r.y);
  float gradient = std::hypot(p.x / (r.x * r.x), p.y / (r.y * r.y));
  return gradient > 0 ? k * (k - 1) / gradient : -std::min(r.x, r.y);
}

float bar_distance(Point p, Point a, Point b, float r0, float r1) {
  Point along = b - a;
  float t = std::clamp(dot(p - a, along) / dot(along, along), 0.0f, 1.0f);
  return length({p.x - a.x - t * along.x, p.y - a.y - t * along.y}) - (r0 + t * (r1 - r0));
}

float box_distance(Point p, Point half, float corner) {
  float x = std::abs(p.x) - half.x + corner, y = std::abs(p.y) - half.y + corner;
  return std::hypot(std::max(x, 0.0f), std::max(y, 0.0f)) + std::min(std::max(x, y), 0.0f) - corner;
}

float triangle_distance(Point p, Point a, Point b, Point c) {
  float turn = cross(b - a, c - a) < 0 ? -1.0f : 1.0f;
  float inside = -9;
  for (auto [from, to] : {std::pair{a, b}, {b, c}, {c, a}})
    inside = std::max(inside, -turn * cross(to - from, p - from) / length(to - from));
  return inside;
}

// Folded into half a point, a star is a half-plane.
float star_distance(Point p, float radius, float points, float depth) {
  float sector = 2 * kPi / points;
  float angle = std::abs(std::remainder(std::atan2(p.y, p.x) + kPi / 2, sector));
  Point tip{radius, 0}, dent = polar(radius * (1 - depth), sector / 2), q = polar(length(p), angle);
  return -cross(dent - tip, q - tip) / length(dent - tip);
}

Point turned_about(Point p, Point centre, float angle) {
  float c = std::cos(angle), s = std::sin(angle);
  Point d = p - centre;
  return {centre.x + c * d.x + s * d.y, centre.y - s * d.x + c * d.y};
}

Point folded(const Part& part, Point p) {
  if (part.mirrored) p.x = std::abs(p.x);
  if (part.copies > 1) {
    Point d = p - part.pivot;
    Point q = polar(length(d), std::remainder(std::atan2(d.y, d.x), 2 * kPi / float(part.copies)));
    p = {part.pivot.x + q.x, part.pivot.y + q.y};
  }
  return part.turn == 0 ? p : turned_about(p, part.a, part.turn);
}

uint32_t hash(int x, int y, uint32_t seed) {  // mixing steps of Murmur3
  uint32_t h = seed ^ uint32_t(x) * 0x9e3779b1u ^ uint32_t(y) * 0x85ebca77u;
  h = (h ^ (h >> 16)) * 0x85ebca6bu;
  h = (h ^ (h >> 13)) * 0xc2b2ae35u;
  return h ^ (h >> 16);
}

float wave(float x) { return smooth_step(-0.35f, 0.35f, std::sin(x)); }
float fraction(float x) { return x - std::floor(x); }

}  // namespace

Part ellipse(float x, float y, float rx, float ry) {
  return {Part::Shape::ellipse, {x, y}, {rx, ry}};
}
Part disc(float x, float y, float r) { return ellipse(x, y, r, r); }
Part bar(float x0, float y0, float x1, float y1, float r0, float r1) {
  return {Part::Shape::bar, {x0, y0}, {x1, y1}, {}, r0, r1 < 0 ? r0 : r1};
}
Part box(float x, float y, float half_width, float half_height, float corner) {
  return {Part::Shape::box, {x, y}, {half_width, half_height}, {}, corner};
}
Part triangle(Point a, Point b, Point c) { return {Part::Shape::triangle, a, b, c}; }
Part star(float x, float y, float radius, int points, float depth) {
  return {Part::Shape::star, {x, y}, {radius, radius}, {}, float(points), depth};
}

float distance(const Part& part, Point p) {
  float y = p.y;
  p = folded(part, p);
  float d = 0;
  switch (part.shape) {
    case Part::Shape::ellipse:
      d = ellipse_distance(p - part.a, part.b);
      break;
    case Part::Shape::bar:
      d = bar_distance(p, part.a, part.b, part.r0, part.r1);
      break;
    case Part::Shape::box:
      d = box_distance(p - part.a, part.b, part.r0);
      break;
    case Part::Shape::triangle:
      d = triangle_distance(p, part.a, part.b, part.c);
      break;
    case Part::Shape::star:
      d = star_distance(p - part.a, part.b.x, part.r0, part.r1);
      break;
  }
  if (part.wall > 0) d = std::abs(d) - part.wall;
  return std::max({d, y - part.high, part.low - y});
}

float texture_at(Texture texture, Point p, float scale, float phase, uint32_t seed) {
  float x = p.x * scale, y = p.y * scale;
  switch (texture) {
    case Texture::plain:
      return 0;
    case Texture::stripes:
      return wave(13 * x + phase);
    case Texture::bands:
      return wave(13 * y + phase);
    case Texture::rings:
      return wave(20 * std::hypot(x, y) + phase);
    case Texture::veins:
      return 1 - smooth_step(0.1f, 0.3f, std::abs(std::sin(9 * (y - std::abs(x)))));
    case Texture::checks:
      return wave(11 * x + phase) != wave(11 * y) ? std::abs(wave(11 * x + phase) - wave(11 * y))
                                                  : 0;
    case Texture::grain:
      return smooth_step(0.35f, 0.65f, clouds({7 * x, 7 * y}, seed));
    case Texture::dots: {
      float u = fraction(3.2f * x + 0.1f * phase) - 0.5f, v = fraction(3.2f * y) - 0.5f;
      return 1 - smooth_step(0.24f, 0.34f, std::hypot(u, v));
    }
    case Texture::scales: {
      float row = std::floor(5 * y), u = fraction(5 * x + 0.5f * row) - 0.5f, v = 5 * y - row;
      return smooth_step(0.35f, 0.55f, std::hypot(u, v - 0.1f) - 0.15f);
    }
    case Texture::bricks: {
      float row = std::floor(4.5f * y), u = fraction(2.5f * x + 0.5f * row), v = 4.5f * y - row;
      return u < 0.12f || v < 0.2f ? 1.0f : 0.0f;
    }
  }
  return 0;
}

float noise(Point p, uint32_t seed) {
  float x = std::floor(p.x), y = std::floor(p.y);
  float u = smooth_step(0, 1, p.x - x), v = smooth_step(0, 1, p.y - y);
  auto corner = [&](int i, int j) {
    return float(hash(int(x) + i, int(y) + j, seed) >> 8) * (1.0f / (1 << 24));
  };
  float top = std::lerp(corner(0, 0), corner(1, 0), u);
  return std::lerp(top, std::lerp(corner(0, 1), corner(1, 1), u), v);
}

float clouds(Point p, uint32_t seed) {
  float sum = 0, weight = 0.5f;
  for (uint32_t octave = 0; octave < 4; ++octave, weight /= 2) {
    sum += weight * noise(p, seed + octave);
    p = {2 * p.x, 2 * p.y};
  }
  return sum / 0.9375f;
}

float smooth_step(float low, float high, float x) {
  float t = std::clamp((x - low) / (high - low), 0.0f, 1.0f);
  return t * t * (3 - 2 * t);
}

}  // namespace graft::app
