// The orientation tag of EXIF data, and turning pictures and boxes by it.
// Broken EXIF data is not an error: the picture is then taken as it is stored.
#pragma once
#include "io/image.h"

namespace graft {

int jpeg_orientation(std::span<const uint8_t> file);  // 1..8; 1 when there is none
int png_orientation(std::span<const uint8_t> file);

// Orientations 5..8 swap width and height.
inline bool swaps_sides(int orientation) { return orientation >= 5; }

// A box of the turned picture, in coordinates of the stored one (width x height).
Box stored_box(const Box& turned, int orientation, int width, int height);
// The reverse: a box of the stored picture in coordinates of the turned one.
Box turned_box(const Box& stored, int orientation, int width, int height);
Image turned_image(Image stored, int orientation);

}  // namespace graft
