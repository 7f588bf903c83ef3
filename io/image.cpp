#include "io/image.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "core/check.h"
#include "io/codec.h"
#include "io/exif.h"
#include "io/source_file.h"

namespace graft {
namespace {

struct Codec {
  const char* format;
  StoredSize (*size)(const Source&);
  Region (*decode)(const Source&, const BoxChooser&);
  int (*orientation)(std::span<const uint8_t>);
};

int no_orientation(std::span<const uint8_t>) { return 1; }

constexpr Codec jpeg{"JPEG", jpeg_size, decode_jpeg, jpeg_orientation};
constexpr Codec png{"PNG", png_size, decode_png, png_orientation};
constexpr Codec bmp{"BMP", bmp_size, decode_bmp, no_orientation};

// Formats that we know by their first bytes and cannot read.
const char* unsupported_format(std::string_view head) {
  using namespace std::string_view_literals;
  if (head.starts_with("GIF8")) return "GIF";
  auto at = [&](size_t i) { return head.substr(std::min(i, head.size()), 4); };
  if (head.starts_with("RIFF") && at(8) == "WEBP") return "WebP";
  if (head.starts_with("II*\0"sv) || head.starts_with("MM\0*"sv)) return "TIFF";
  if (at(4) == "ftyp") return at(8) == "avif" ? "AVIF" : "HEIC";
  if (head.starts_with("8BPS")) return "PSD";
  if (head.starts_with("\xff\x0a"sv) || head.starts_with("\0\0\0\x0cJXL "sv)) return "JPEG XL";
  if (head.starts_with("\0\0\0\x0cjP  "sv)) return "JPEG 2000";
  if (head.starts_with("\0\0\1\0"sv)) return "ICO";
  bool netpbm = head.size() > 2 && head[0] == 'P' && head[1] >= '1' && head[1] <= '7';
  return netpbm && (head[2] == '\n' || head[2] == ' ') ? "PPM" : nullptr;
}

const Codec& codec_of(const Source& source) {
  std::string_view head(reinterpret_cast<const char*>(source.bytes.data()),
                        std::min<size_t>(source.bytes.size(), 16));
  if (head.empty()) fail(Fault::data, "{}: the file is empty", escaped(source.name));
  if (head.starts_with("\xff\xd8\xff")) return jpeg;
  if (head.starts_with("\x89PNG\r\n\x1a\n")) return png;
  if (head.starts_with("BM")) return bmp;
  if (const char* format = unsupported_format(head)) {
    fail(Fault::data, "{}: unsupported format {}; convert it to JPEG or PNG", escaped(source.name),
         format);
  }
  fail(Fault::data, "{}: not an image (it begins with \"{}\"); remove it or replace it",
       escaped(source.name), escaped(head));
}

Box clipped(const Box& box, int width, int height) {
  Box out{std::clamp(box.x0, 0, width - 1), std::clamp(box.y0, 0, height - 1), 0, 0};
  out.x1 = std::clamp(box.x1, out.x0 + 1, width);
  out.y1 = std::clamp(box.y1, out.y0 + 1, height);
  return out;
}

}  // namespace

Image::Image(int width, int height)
    : width(width), height(height), rgb(std::make_unique_for_overwrite<uint8_t[]>(bytes())) {}

ImageView Region::view() const {
  return {image.rgb.get(), image.width, image.height, int64_t(image.width) * 3, x, y};
}

void check_dimensions(const Source& source, const char* format, int64_t width, int64_t height) {
  if (width <= 0 || height <= 0) {
    fail(Fault::data, "{}: {} of {} x {} pixels has no picture", escaped(source.name), format,
         width, height);
  }
  if (width > source.options.max_pixels / height) {
    fail(Fault::data,
         "{}: {} of {} x {} pixels, more than the limit of {}; raise max_pixels to "
         "read it",
         escaped(source.name), format, width, height, source.options.max_pixels);
  }
}

ImageInfo probe_image(std::span<const uint8_t> bytes, const std::string& name,
                      const DecodeOptions& options) {
  Source source{bytes, name, options};
  const Codec& codec = codec_of(source);
  StoredSize size = codec.size(source);
  ImageInfo info{size.width, size.height, options.exif ? codec.orientation(bytes) : 1,
                 codec.format};
  if (swaps_sides(info.orientation)) std::swap(info.width, info.height);
  return info;
}

Region decode_region(std::span<const uint8_t> bytes, const std::string& name,
                     const DecodeOptions& options, const BoxChooser& choose) {
  Source source{bytes, name, options};
  const Codec& codec = codec_of(source);
  int orientation = options.exif ? codec.orientation(bytes) : 1;
  StoredSize stored{};
  Region region = codec.decode(source, [&](int width, int height) {
    stored = {width, height};
    Box turned{0, 0, width, height};
    if (swaps_sides(orientation)) std::swap(turned.x1, turned.y1);
    turned = clipped(choose(turned.x1, turned.y1), turned.x1, turned.y1);
    return stored_box(turned, orientation, width, height);
  });
  if (orientation == 1) return region;
  Box box{region.x, region.y, region.x + region.image.width, region.y + region.image.height};
  box = turned_box(box, orientation, stored.width, stored.height);
  return {turned_image(std::move(region.image), orientation), box.x0, box.y0};
}

Image decode_image(std::span<const uint8_t> bytes, const std::string& name,
                   const DecodeOptions& options) {
  return decode_region(bytes, name, options,
                       [](int width, int height) {
                         return Box{0, 0, width, height};
                       })
      .image;
}

Image read_image(const std::string& path, const DecodeOptions& options) {
  return decode_image(read_source(path), path, options);
}

}  // namespace graft
