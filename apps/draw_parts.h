// What a drawn thing is made of: a few shapes, each painted and textured, in its own coordinates
// (x right, y down, the thing fills about [-1, 1]). A shape is a signed distance, so that it can be
// drawn at any size with soft edges. A part is built like a sentence:
//   ellipse(0.5f, 0, 0.4f, 0.2f).both().in(Paint::second).with(Texture::dots)
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace graft::app {

struct Point {
  float x = 0, y = 0;
};

enum class Paint { main, second, dark, light };
enum class Texture { plain, stripes, bands, dots, checks, scales, rings, veins, grain, bricks };

struct Part {
  enum class Shape { ellipse, bar, box, triangle, star };
  Shape shape;
  Point a, b, c;          // centre and half sizes, or the ends, or the corners
  float r0 = 0, r1 = 0;   // radii at the ends of a bar; corner of a box; points and depth of a star
  float turn = 0;         // radians, about a
  float wall = 0;         // hollow: half the thickness of the rim
  bool mirrored = false;  // also at -x
  int copies = 1;         // around `pivot`, this one pointing to the right
  Point pivot;
  float low = -9, high = 9;  // only where low < y < high
  Paint paint = Paint::main;
  Texture texture = Texture::plain;

  Part in(Paint p) const {
    return changed([&](Part& part) { part.paint = p; });
  }
  Part with(Texture t) const {
    return changed([&](Part& part) { part.texture = t; });
  }
  Part turned(float degrees) const {
    return changed([&](Part& part) { part.turn = degrees * 0.0174533f; });
  }
  Part hollow(float half_wall) const {
    return changed([&](Part& part) { part.wall = half_wall; });
  }
  Part both() const {
    return changed([&](Part& part) { part.mirrored = true; });
  }
  Part around(int n, float x = 0, float y = 0) const {
    return changed([&](Part& part) { part.copies = n, part.pivot = {x, y}; });
  }
  Part above(float y) const {
    return changed([&](Part& part) { part.high = y; });
  }
  Part below(float y) const {
    return changed([&](Part& part) { part.low = y; });
  }

 private:
  template <class Change>
  Part changed(const Change& change) const {
    Part part = *this;
    change(part);
    return part;
  }
};

Part ellipse(float x, float y, float rx, float ry);
Part disc(float x, float y, float r);
Part bar(float x0, float y0, float x1, float y1, float r0, float r1 = -1);  // -1: as r0
Part box(float x, float y, float half_width, float half_height, float corner = 0.03f);
Part triangle(Point a, Point b, Point c);
Part star(float x, float y, float radius, int points, float depth);  // depth in (0, 1)

float distance(const Part& part, Point p);  // below 0 inside; about exact near the edge

// How far the second colour shows at p, 0..1. `scale` and `phase` vary from picture to picture.
float texture_at(Texture texture, Point p, float scale, float phase, uint32_t seed);

float noise(Point p, uint32_t seed);   // smooth, 0..1, a feature per unit
float clouds(Point p, uint32_t seed);  // four octaves of it
float smooth_step(float low, float high, float x);

struct Subject {  // a class of pictures
  std::string name;
  std::vector<Part> parts;  // the later ones in front
};
std::span<const Subject> source_subjects();  // sorted by name, and so are those of the target
std::span<const Subject> target_subjects();

}  // namespace graft::app
