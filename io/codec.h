// What the decoders of the single formats share with image.cpp; nobody else includes it.
// A codec works in stored coordinates: orientation is image.cpp's business.
#pragma once
#include "io/image.h"

namespace graft {

struct Source {
  std::span<const uint8_t> bytes;
  const std::string& name;
  const DecodeOptions& options;
};

// Throws when the picture has no pixels or more than options.max_pixels.
void check_dimensions(const Source& source, const char* format, int64_t width, int64_t height);

struct StoredSize {
  int width, height;
};
StoredSize jpeg_size(const Source& source);
StoredSize png_size(const Source& source);
StoredSize bmp_size(const Source& source);

Region decode_jpeg(const Source& source, const BoxChooser& choose);
Region decode_png(const Source& source, const BoxChooser& choose);  // always the whole picture
Region decode_bmp(const Source& source, const BoxChooser& choose);  // always the whole picture

}  // namespace graft
