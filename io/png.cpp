// PNG and BMP through stb_image, which trusts its input more than we do: what it leaves unchecked
// (checksums, completeness, memory) is checked here before and while it runs.
#include <zlib.h>

#include <climits>
#include <cstdlib>
#include <cstring>

#include "core/check.h"
#include "io/codec.h"
#include "io/source_file.h"

namespace {

// Bytes that stb_image may still ask for while it decodes one file on this thread.
thread_local int64_t stb_budget = 0;

void* stb_allocate(size_t size) {
  if (int64_t(size) > stb_budget) return nullptr;
  stb_budget -= int64_t(size);
  return std::malloc(size);
}

void* stb_reallocate(void* old, size_t old_size, size_t size) {
  int64_t more = int64_t(size) - int64_t(old_size);
  if (more > stb_budget) return nullptr;
  stb_budget -= more;
  return std::realloc(old, size);
}

}  // namespace

#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS (1 << 20)
#define STBI_MALLOC(size) stb_allocate(size)
#define STBI_REALLOC_SIZED(old, old_size, size) stb_reallocate(old, old_size, size)
#define STBI_FREE(block) std::free(block)
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

namespace graft {
namespace {

[[noreturn]] void damaged(const Source& source, const char* format, const char* why) {
  fail(Fault::data, "{}: damaged {} ({}); replace it or remove it", escaped(source.name), format,
       why);
}

uint32_t big32(const uint8_t* p) {
  return uint32_t(p[0]) << 24 | uint32_t(p[1]) << 16 | uint32_t(p[2]) << 8 | p[3];
}
uint32_t little(const uint8_t* p, int size) {
  uint32_t value = 0;
  for (int i = size - 1; i >= 0; --i) value = value << 8 | p[i];
  return value;
}

// Chunks that decide pixels must have a right checksum; the others are never read. Length, kind,
// data, checksum; the chunks must lead to an IEND.
void check_png_chunks(const Source& source) {
  const auto& file = source.bytes;
  size_t at = 8;
  bool data_seen = false;
  while (true) {
    if (file.size() - at < 12) damaged(source, "PNG", "it ends before its IEND chunk");
    uint32_t length = big32(&file[at]);
    if (length > file.size() - at - 12) damaged(source, "PNG", "a chunk reaches beyond the end");
    const uint8_t* kind = &file[at + 4];
    bool critical = !(kind[0] & 0x20) || std::memcmp(kind, "tRNS", 4) == 0;
    if (critical && ::crc32(0, kind, length + 4) != big32(kind + 4 + length)) {
      damaged(source, "PNG", "wrong checksum of a chunk");
    }
    if (std::memcmp(kind, "IDAT", 4) == 0) {
      if (!data_seen && length == 0) damaged(source, "PNG", "its first IDAT chunk is empty");
      data_seen = true;
    }
    if (std::memcmp(kind, "IEND", 4) == 0) break;
    at += size_t(length) + 12;
  }
  if (!data_seen) damaged(source, "PNG", "it has no IDAT chunk");
}

struct BmpHeader {
  int64_t width = 0, height = 0;
  uint32_t pixels_at = 0;
  int bits = 0;
};

BmpHeader bmp_header(const Source& source) {
  const auto& file = source.bytes;
  if (file.size() < 30) damaged(source, "BMP", "it ends within the header");
  BmpHeader header{0, 0, little(&file[10], 4), 0};
  if (little(&file[14], 4) == 12) {  // OS/2
    header.width = little(&file[18], 2);
    header.height = little(&file[20], 2);
    header.bits = int(little(&file[24], 2));
  } else {
    header.width = int32_t(little(&file[18], 4));
    header.height = std::abs(int64_t(int32_t(little(&file[22], 4))));  // negative: top row first
    header.bits = int(little(&file[28], 2));
  }
  check_dimensions(source, "BMP", header.width, header.height);
  return header;
}

// stb_image reads zeros after the end of the file, which would be a black part of the picture.
void check_bmp_complete(const Source& source) {
  BmpHeader header = bmp_header(source);
  int64_t stride = (header.width * header.bits + 31) / 32 * 4;
  if (header.pixels_at + stride * header.height > int64_t(source.bytes.size())) {
    damaged(source, "BMP", "it ends before its last row");
  }
}

// Grey, grey + alpha, RGB or RGBA (1..4 channels) to RGB over the background.
void to_rgb(const Source& source, const uint8_t* from, int channels, Image& image) {
  const int64_t pixels = int64_t(image.width) * image.height;
  const bool alpha = channels % 2 == 0;
  const int step = channels >= 3 ? 1 : 0;  // from one colour to the next
  uint8_t* to = image.rgb.get();
  for (int64_t i = 0; i < pixels; ++i, from += channels, to += 3) {
    int opaque = alpha ? from[channels - 1] : 255;
    for (int c = 0; c < 3; ++c) {
      int under = source.options.background[size_t(c)];
      to[c] = opaque == 255
                  ? from[c * step]
                  : uint8_t((from[c * step] * opaque + under * (255 - opaque) + 127) / 255);
    }
  }
}

Region decode_stb(const Source& source, const char* format, StoredSize size) {
  int64_t pixels = int64_t(size.width) * size.height;
  // Packed data at most twice, unpacked 16-bit RGBA (up to twice, as its buffer doubles), its
  // expansion, the 8-bit copy and the channels we ask for: under 40 bytes a pixel.
  stb_budget = int64_t(source.bytes.size()) * 4 + pixels * 40 + size.height * 64 + (1 << 20);
  if (source.bytes.size() > INT_MAX) damaged(source, format, "over 2 GiB");
  const auto* data = source.bytes.data();
  int length = int(source.bytes.size()), width = 0, height = 0, channels = 0;
  if (!stbi_info_from_memory(data, length, &width, &height, &channels)) {
    damaged(source, format, stbi_failure_reason());
  }
  std::unique_ptr<uint8_t, void (*)(void*)> raw(
      stbi_load_from_memory(data, length, &width, &height, &channels, 0), std::free);
  if (!raw) damaged(source, format, stbi_failure_reason());
  if (width != size.width || height != size.height) damaged(source, format, "two sizes");
  Image image(width, height);
  if (channels == 3) {
    std::memcpy(image.rgb.get(), raw.get(), image.bytes());
  } else {
    to_rgb(source, raw.get(), channels, image);
  }
  return {std::move(image), 0, 0};
}

}  // namespace

StoredSize png_size(const Source& source) {
  const auto& file = source.bytes;
  if (file.size() < 33 || std::memcmp(&file[12], "IHDR", 4) != 0) {
    damaged(source, "PNG", "it does not begin with an IHDR chunk");
  }
  int64_t width = big32(&file[16]), height = big32(&file[20]);
  check_dimensions(source, "PNG", width, height);
  return {int(width), int(height)};
}

Region decode_png(const Source& source, const BoxChooser& choose) {
  StoredSize size = png_size(source);
  check_png_chunks(source);
  choose(size.width, size.height);
  return decode_stb(source, "PNG", size);
}

StoredSize bmp_size(const Source& source) {
  BmpHeader header = bmp_header(source);
  return {int(header.width), int(header.height)};
}

Region decode_bmp(const Source& source, const BoxChooser& choose) {
  StoredSize size = bmp_size(source);
  check_bmp_complete(source);
  choose(size.width, size.height);
  return decode_stb(source, "BMP", size);
}

}  // namespace graft
