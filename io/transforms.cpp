#include "io/transforms.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/check.h"
#include "io/colour.h"
#include "io/randaugment.h"
#include "io/resize.h"

namespace graft {
namespace {

int to_even(double value) { return int(std::nearbyint(value)); }  // halves go to even, as Python's

// One side of a centre crop: where the window begins in the resized picture, how long it is, and
// where it lands.
struct Centre {
  int begin, length, land;
};
Centre centre_of(int have, int want) {
  if (have < want) return {0, have, (want - have) / 2};
  return {to_even((have - want) / 2.0), want, 0};
}

// The part of the picture that is read, in its own coordinates.
Box needed(const Geometry& g, const Resize& resize) {
  Box box = resize.source();
  return {box.x0 + g.from.x0, box.y0 + g.from.y0, box.x1 + g.from.x0, box.y1 + g.from.y0};
}

Resize resize_of(const Geometry& g, Interpolation interpolation) {
  return {g.from.width(), g.from.height(), g.to_width, g.to_height, g.window, interpolation};
}

}  // namespace

void mirror(uint8_t* pixels, int width, int64_t height) {
  for (int64_t y = 0; y < height; ++y) {
    uint8_t* left = pixels + y * width * 3;
    uint8_t* right = left + (width - 1) * 3;
    for (; left < right; left += 3, right -= 3) std::swap_ranges(left, left + 3, right);
  }
}

void check_preprocess(const Preprocess& p) {
  constexpr int longest = 16384;
  GRAFT_CHECK(p.resize > 0 && p.resize <= longest && p.crop > 0 && p.crop <= longest,
              "preprocessing: resize {} and crop {} must be in 1..{}", p.resize, p.crop, longest);
  GRAFT_CHECK(p.resize_rule == "short" || p.resize_rule == "exact",
              "preprocessing: unknown resize rule \"{}\"; use short or exact", p.resize_rule);
  for (float s : p.std)
    GRAFT_CHECK(std::isfinite(s) && s > 0, "preprocessing: std {} is not > 0", s);
  for (float m : p.mean) GRAFT_CHECK(std::isfinite(m), "preprocessing: mean {} is not finite", m);
}

void check_augment(const Augment& a) {
  GRAFT_CHECK(a.area_min > 0 && a.area_min <= a.area_max && a.area_max <= 1,
              "augmentation: area {}..{} must be within 0..1", a.area_min, a.area_max);
  GRAFT_CHECK(a.aspect_min > 0 && a.aspect_min <= a.aspect_max, "augmentation: aspect {}..{}",
              a.aspect_min, a.aspect_max);
  GRAFT_CHECK(a.flip >= 0 && a.flip <= 1, "augmentation: flip {} is no probability", a.flip);
  GRAFT_CHECK(a.brightness >= 0 && a.contrast >= 0 && a.saturation >= 0,
              "augmentation: colour strengths must not be negative");
  GRAFT_CHECK(a.rand_changes >= 0 && a.rand_strength >= 0 && a.rand_strength <= kRandStrengths,
              "augmentation: {} random changes of strength {} (0..{})", a.rand_changes, a.rand_strength,
              kRandStrengths);
  GRAFT_CHECK(a.hue >= 0 && a.hue <= 0.5f, "augmentation: hue {} must be in 0..0.5", a.hue);
}

Geometry eval_geometry(const Preprocess& p, int width, int height) {
  Geometry g{{0, 0, width, height}, p.resize, p.resize, {}, 0, 0};
  if (p.resize_rule == "short") {  // the long side is cut, not rounded, as torchvision does
    auto scaled = [&](int side, int by) {
      return int(std::min(double(int64_t(p.resize) * side) / by, 2e9));
    };
    if (width <= height) {
      g.to_height = scaled(height, width);
    } else {
      g.to_width = scaled(width, height);
    }
  }
  Centre x = centre_of(g.to_width, p.crop), y = centre_of(g.to_height, p.crop);
  g.window = {x.begin, y.begin, x.begin + x.length, y.begin + y.length};
  g.left = x.land;
  g.top = y.land;
  return g;
}

// torchvision's RandomResizedCrop: ten tries, then the largest centred cut of an allowed aspect.
Geometry train_geometry(const Preprocess& p, const Augment& a, Random& random, int width,
                        int height) {
  auto cut = [&](int w, int h, int x, int y) {
    return Geometry{{x, y, x + w, y + h}, p.crop, p.crop, {0, 0, p.crop, p.crop}, 0, 0};
  };
  const double log_min = std::log(a.aspect_min), log_max = std::log(a.aspect_max);
  for (int attempt = 0; attempt < 10; ++attempt) {
    double area = double(width) * height * random.uniform(a.area_min, a.area_max);
    double aspect = std::exp(log_min + (log_max - log_min) * random.uniform());
    double w = std::nearbyint(std::sqrt(area * aspect));
    double h = std::nearbyint(std::sqrt(area / aspect));
    if (w < 1 || w > width || h < 1 || h > height) continue;
    int y = int(random.below(uint64_t(height - h) + 1));
    int x = int(random.below(uint64_t(width - w) + 1));
    return cut(int(w), int(h), x, y);
  }
  int w = width, h = height;
  double aspect = double(width) / height;
  if (aspect < a.aspect_min) h = std::clamp(to_even(w / double(a.aspect_min)), 1, height);
  if (aspect > a.aspect_max) w = std::clamp(to_even(h * double(a.aspect_max)), 1, width);
  return cut(w, h, (width - w) / 2, (height - h) / 2);
}

Transform::Transform(Preprocess preprocess, std::optional<Augment> augment)
    : preprocess_(std::move(preprocess)), augment_(augment) {
  check_preprocess(preprocess_);
  if (augment_) check_augment(*augment_);
}

bool Transform::only_cuts() const {
  const bool recoloured = augment_ && (augment_->rand_changes > 0 || augment_->brightness > 0 ||
                                       augment_->contrast > 0 || augment_->saturation > 0 || augment_->hue > 0);
  return preprocess_.interpolation == Interpolation::bilinear && !recoloured;
}

Cut Transform::cut(Random random, int width, int height) const {
  const Geometry g = geometry(random, width, height);
  const bool flip = augment_ && random.uniform() < augment_->flip;
  return {.rgb = nullptr, .stride = 0, .from_x = g.from.x0, .from_y = g.from.y0,
          .from_width = g.from.width(), .from_height = g.from.height(), .to_width = g.to_width,
          .to_height = g.to_height, .window_x = g.window.x0 - g.left, .window_y = g.window.y0 - g.top,
          .flip = flip};
}

Geometry Transform::geometry(Random& random, int width, int height) const {
  return augment_ ? train_geometry(preprocess_, *augment_, random, width, height)
                  : eval_geometry(preprocess_, width, height);
}

void Transform::finish(const Geometry& g, const ImageView& view, Random& random,
                       uint8_t* out) const {
  const int64_t stride = int64_t(size()) * 3;
  bool covers = g.window.width() == size() && g.window.height() == size();
  if (!covers) std::memset(out, 0, size_t(bytes()));
  ImageView cut = view;
  cut.x -= g.from.x0;
  cut.y -= g.from.y0;
  resize_of(g, preprocess_.interpolation).run(cut, out + g.top * stride + int64_t(g.left) * 3, stride);
  if (!augment_) return;
  if (random.uniform() < augment_->flip) mirror(out, size(), size());
  if (augment_->rand_changes > 0)
    rand_augment({augment_->rand_changes, augment_->rand_strength}, random, out, size());
  jitter_colours({augment_->brightness, augment_->contrast, augment_->saturation, augment_->hue},
                 random, out, int64_t(size()) * size());
}

void Transform::run(std::span<const uint8_t> file, const std::string& name,
                    const DecodeOptions& options, Random random, uint8_t* out) const {
  Geometry g;
  Region region = decode_region(file, name, options, [&](int width, int height) {
    g = geometry(random, width, height);
    return needed(g, resize_of(g, preprocess_.interpolation));
  });
  finish(g, region.view(), random, out);
}

void Transform::run(const Image& decoded, Random random, uint8_t* out) const {
  Geometry g = geometry(random, decoded.width, decoded.height);
  ImageView view{decoded.rgb.get(), decoded.width, decoded.height, int64_t(decoded.width) * 3};
  finish(g, view, random, out);
}

}  // namespace graft
