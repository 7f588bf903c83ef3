// From a picture of any size to the square of 8-bit pixels that a network was trained with.
// Evaluation is torchvision's Resize + CenterCrop; training its RandomResizedCrop, horizontal flip,
// RandAugment and colour jitter. What is random comes from the Random that is handed in, so it depends only on
// (seed, epoch, image). Only the part of the picture that is used gets decoded.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/random.h"
#include "io/image.h"
#include "io/resize.h"
#include "kernels/augment.h"

namespace graft {

// A model file carries this, so that a model always gets the pixels it was trained with.
// The network's input is x = (u8 * scale - mean) / std, after the channels are swapped if bgr;
// mean and std are in the order of the network's channels.
struct Preprocess {
  int resize = 256;                   // pixels: the short side, or both sides
  int crop = 224;                     // pixels: the side of the result, cut from the centre
  std::string resize_rule = "short";  // "short" keeps proportions; "exact" makes both sides equal
  Interpolation interpolation = Interpolation::bilinear;
  std::array<float, 3> mean{0.485f, 0.456f, 0.406f};
  std::array<float, 3> std{0.229f, 0.224f, 0.225f};
  float scale = 1.0f / 255;
  bool bgr = false;
  bool operator==(const Preprocess&) const = default;
};
void check_preprocess(const Preprocess& preprocess);  // throws when a value cannot be meant

// Random changes for training. A colour strength s draws a factor from [1 - s, 1 + s] (not below
// 0); hue draws a turn of the colour circle from [-hue, hue], at most 0.5.
struct Augment {
  float area_min = 0.08f, area_max = 1.0f;             // of the cut, as a part of the picture
  float aspect_min = 3.0f / 4, aspect_max = 4.0f / 3;  // width / height of the cut
  float flip = 0.5f;                                   // probability
  float brightness = 0, contrast = 0, saturation = 0, hue = 0;
  int rand_changes = 0;  // of RandAugment, io/randaugment.h, after the flip; 0: none
  int rand_strength = 9;  // of 30
};
void check_augment(const Augment& augment);

// `from` of the picture is resized to to_width x to_height; `window` of that lands at (left, top)
// of the result, whose other pixels are zero.
struct Geometry {
  Box from;
  int to_width = 0, to_height = 0;
  Box window;
  int left = 0, top = 0;
};
Geometry eval_geometry(const Preprocess& preprocess, int width, int height);
Geometry train_geometry(const Preprocess& preprocess, const Augment& augment, Random& random,
                        int width, int height);

void mirror(uint8_t* rgb, int width, int64_t height);  // left to right, of (height, width, 3)

class Transform {
 public:
  explicit Transform(Preprocess preprocess, std::optional<Augment> augment = std::nullopt);

  const Preprocess& preprocess() const { return preprocess_; }
  int size() const { return preprocess_.crop; }
  int64_t bytes() const { return int64_t(size()) * size() * 3; }  // of a result
  bool random() const { return augment_.has_value(); }
  const std::optional<Augment>& augment() const { return augment_; }

  // Both write (size, size, 3) to `out` and agree; the first decodes what it needs. `random` is
  // used by training only.
  void run(std::span<const uint8_t> file, const std::string& name, const DecodeOptions& options,
           Random random, uint8_t* out) const;
  void run(const Image& decoded, Random random, uint8_t* out) const;

  // Whether a cut, resized and perhaps mirrored, is all there is to it; then, of a decoded picture of
  // that size, which one.
  bool only_cuts() const;
  Cut cut(Random random, int width, int height) const;

 private:
  Geometry geometry(Random& random, int width, int height) const;
  void finish(const Geometry& geometry, const ImageView& view, Random& random, uint8_t* out) const;

  Preprocess preprocess_;
  std::optional<Augment> augment_;
};

}  // namespace graft
