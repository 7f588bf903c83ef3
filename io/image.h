// Decoding an image into 8-bit RGB. What the bytes are decides, never the name of the file.
// JPEG gives the pixels that libjpeg's default settings give (and PIL with them); PNG and BMP are
// exact. A damaged file is an Error with the name of the file, never a partly grey picture.
//
// Rules: grey is repeated; CMYK and YCCK are taken as inverted (Adobe) and turned into RGB as PIL
// does; 16-bit samples keep their upper byte; transparency is blended over `background`; an
// animated PNG gives its default image; the EXIF orientation is applied unless turned off.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace graft {

struct Image {
  int width = 0, height = 0;
  std::unique_ptr<uint8_t[]> rgb;  // (height, width, 3)

  Image() = default;
  Image(int width, int height);  // values not set
  size_t bytes() const { return size_t(width) * size_t(height) * 3; }
};

struct Box {  // pixels x0 <= x < x1, y0 <= y < y1
  int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  int width() const { return x1 - x0; }
  int height() const { return y1 - y0; }
};

// Pixels that somebody else owns; rows are `stride` bytes apart, the first one is at (x, y) of the
// picture it was cut from.
struct ImageView {
  const uint8_t* rgb = nullptr;
  int width = 0, height = 0;
  int64_t stride = 0;
  int x = 0, y = 0;
};

struct Region {  // a part of a picture, at (x, y) in it
  Image image;
  int x = 0, y = 0;
  ImageView view() const;
};

struct DecodeOptions {
  bool exif = true;                 // turn the picture as the camera said
  int64_t max_pixels = 89'000'000;  // larger pictures are refused before memory is taken
  std::array<uint8_t, 3> background = {255, 255, 255};
};

struct ImageInfo {
  int width = 0, height = 0;  // after the turn
  int orientation = 1;        // EXIF, 1..8
  const char* format = "";    // "JPEG", "PNG", "BMP"
};

// `name` is for messages only.
ImageInfo probe_image(std::span<const uint8_t> bytes, const std::string& name,
                      const DecodeOptions& options = {});
Image decode_image(std::span<const uint8_t> bytes, const std::string& name,
                   const DecodeOptions& options = {});
Image read_image(const std::string& path, const DecodeOptions& options = {});

// Decodes at least the box that `choose` asks for, given width and height (after the turn). The
// pixels are those of decode_image, and the same files are errors; only the work is less.
using BoxChooser = std::function<Box(int width, int height)>;
Region decode_region(std::span<const uint8_t> bytes, const std::string& name,
                     const DecodeOptions& options, const BoxChooser& choose);

}  // namespace graft
