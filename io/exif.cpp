#include "io/exif.h"

#include <algorithm>
#include <cstring>

namespace graft {
namespace {

using View = std::span<const uint8_t>;

struct Tiff {  // a TIFF block with its byte order; reads outside of it give 0
  View bytes;
  bool big = false;

  uint32_t number(size_t at, int size) const {
    if (at > bytes.size() || bytes.size() - at < size_t(size)) return 0;
    uint32_t value = 0;
    for (int i = 0; i < size; ++i) value = value << 8 | bytes[at + size_t(big ? i : size - 1 - i)];
    return value;
  }
};

// Orientation is looked for in the first directory only, so a loop of directories cannot trap us.
int orientation_of_tiff(View bytes) {
  if (bytes.size() < 8) return 1;
  Tiff tiff{bytes, bytes[0] == 'M'};
  if ((bytes[0] != 'I' && bytes[0] != 'M') || bytes[1] != bytes[0] || tiff.number(2, 2) != 42) {
    return 1;
  }
  size_t directory = tiff.number(4, 4);
  uint32_t entries = tiff.number(directory, 2);
  for (uint32_t i = 0; i < entries; ++i) {
    size_t entry = directory + 2 + size_t(i) * 12;  // tag, type, count, value
    if (entry + 12 > bytes.size()) return 1;
    constexpr uint32_t orientation_tag = 0x0112, type_short = 3;
    if (tiff.number(entry, 2) != orientation_tag) continue;
    uint32_t value = tiff.number(entry + 8, 2);
    bool good = tiff.number(entry + 2, 2) == type_short && value >= 1 && value <= 8;
    return good ? int(value) : 1;
  }
  return 1;
}

// Where a stored pixel goes: the bits of what must be done to the stored picture, in this order.
struct Turn {
  bool swap, flip_x, flip_y;  // exchange x and y; then mirror the turned picture
};
constexpr Turn turns[9] = {{false, false, false}, {false, false, false}, {false, true, false},
                           {false, true, true},   {false, false, true},  {true, false, false},
                           {true, true, false},   {true, true, true},    {true, false, true}};

Box mirrored(Box box, const Turn& turn, int width, int height) {
  if (turn.flip_x) box = {width - box.x1, box.y0, width - box.x0, box.y1};
  if (turn.flip_y) box = {box.x0, height - box.y1, box.x1, height - box.y0};
  return box;
}

Box swapped(const Box& box) { return {box.y0, box.x0, box.y1, box.x1}; }

}  // namespace

int jpeg_orientation(View file) {
  size_t at = 2;
  while (at + 4 <= file.size() && file[at] == 0xff) {
    uint8_t marker = file[at + 1];
    if (marker == 0xff) {
      ++at;
      continue;
    }                                                // fill byte
    if (marker == 0xda || marker == 0xd9) return 1;  // the scan begins, or the end
    size_t length = size_t(file[at + 2]) << 8 | file[at + 3];
    if (length < 2 || at + 2 + length > file.size()) return 1;
    View body = file.subspan(at + 4, length - 2);
    bool exif = marker == 0xe1 && body.size() >= 6 && std::memcmp(body.data(), "Exif\0\0", 6) == 0;
    if (exif) return orientation_of_tiff(body.subspan(6));
    at += 2 + length;
  }
  return 1;
}

int png_orientation(View file) {
  size_t at = 8;
  while (at + 12 <= file.size()) {
    size_t length = size_t(file[at]) << 24 | size_t(file[at + 1]) << 16 |
                    size_t(file[at + 2]) << 8 | file[at + 3];
    if (length > file.size() - at - 12) return 1;
    if (std::memcmp(&file[at + 4], "eXIf", 4) == 0) {
      return orientation_of_tiff(file.subspan(at + 8, length));
    }
    at += 12 + length;
  }
  return 1;
}

Box stored_box(const Box& turned, int orientation, int width, int height) {
  const Turn& turn = turns[orientation];
  if (turn.swap) std::swap(width, height);
  Box box = mirrored(turned, turn, width, height);
  return turn.swap ? swapped(box) : box;
}

Box turned_box(const Box& stored, int orientation, int width, int height) {
  const Turn& turn = turns[orientation];
  if (turn.swap) std::swap(width, height);
  return mirrored(turn.swap ? swapped(stored) : stored, turn, width, height);
}

Image turned_image(Image stored, int orientation) {
  if (orientation == 1) return stored;
  const Turn& turn = turns[orientation];
  Image out(turn.swap ? stored.height : stored.width, turn.swap ? stored.width : stored.height);
  // Steps in bytes through the stored picture for one step right and one step down in the turned.
  int64_t right = 3, down = int64_t(stored.width) * 3, start = 0;
  if (turn.swap) std::swap(right, down);
  if (turn.flip_x) start += right * (out.width - 1), right = -right;
  if (turn.flip_y) start += down * (out.height - 1), down = -down;
  for (int y = 0; y < out.height; ++y) {
    const uint8_t* from = stored.rgb.get() + start + down * y;
    uint8_t* to = out.rgb.get() + int64_t(y) * out.width * 3;
    for (int x = 0; x < out.width; ++x, from += right, to += 3) std::memcpy(to, from, 3);
  }
  return out;
}

}  // namespace graft
