// Image files for the tests, written here with libjpeg and a small PNG writer, and a folder that
// goes away with its owner.
#pragma once
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <jpeglib.h>

#include "core/check.h"
#include "core/random.h"

namespace graft::test {

using Bytes = std::vector<uint8_t>;

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "graft-test-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline void write_file(const std::string& path, const Bytes& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
}
inline void write_text(const std::string& path, const std::string& text) {
  write_file(path, Bytes(text.begin(), text.end()));
}

// A smooth picture with some noise, `channels` interleaved.
inline Bytes picture(int width, int height, int channels = 3, uint64_t seed = 1) {
  Random random(seed, "test picture");
  Bytes out;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        int value = x * (c + 2) * 3 + y * (5 - c) * 2 + int(random.below(40));
        out.push_back(uint8_t(std::abs(value % 510 - 255)));
      }
    }
  }
  return out;
}

struct JpegForm {
  J_COLOR_SPACE from = JCS_RGB, stored = JCS_YCbCr;
  int h = 2, v = 2;  // sampling of the first component; the others have 1
  int quality = 90;
  bool progressive = false, arithmetic = false, many_scans = false;
  int restart = 0;      // MCUs between restart markers
  Bytes app1;           // body of an APP1 marker
};

inline Bytes make_jpeg(int width, int height, const Bytes& pixels, const JpegForm& form = {}) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &out, &size);
  info.image_width = JDIMENSION(width);
  info.image_height = JDIMENSION(height);
  info.in_color_space = form.from;
  info.input_components = form.from == JCS_GRAYSCALE ? 1 : form.from == JCS_CMYK ? 4 : 3;
  jpeg_set_defaults(&info);
  jpeg_set_colorspace(&info, form.stored);
  jpeg_set_quality(&info, form.quality, TRUE);
  if (info.num_components > 1) {
    for (int c = 0; c < info.num_components; ++c) {
      info.comp_info[c].h_samp_factor = c == 0 || c == 3 ? form.h : 1;
      info.comp_info[c].v_samp_factor = c == 0 || c == 3 ? form.v : 1;
    }
  }
  info.arith_code = form.arithmetic;
  info.restart_interval = unsigned(form.restart);
  if (form.progressive) jpeg_simple_progression(&info);
  std::vector<jpeg_scan_info> scans;
  if (form.many_scans) {  // every coefficient and every bit in a scan of its own
    scans.push_back({info.num_components, {0, 1, 2, 3}, 0, 0, 0, 0});
    for (int bit = 3; bit >= 0; --bit) {
      for (int c = 0; c < info.num_components; ++c) {
        for (int k = 1; k < 64; ++k) scans.push_back({1, {c}, k, k, bit == 3 ? 0 : bit + 1, bit});
      }
    }
    info.scan_info = scans.data();
    info.num_scans = int(scans.size());
  }
  jpeg_start_compress(&info, TRUE);
  if (!form.app1.empty()) jpeg_write_marker(&info, 0xe1, form.app1.data(), unsigned(form.app1.size()));
  for (int y = 0; y < height; ++y) {
    auto* row = const_cast<uint8_t*>(&pixels[size_t(y) * size_t(width * info.input_components)]);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  Bytes bytes(out, out + size);
  jpeg_destroy_compress(&info);
  std::free(out);
  return bytes;
}

inline Bytes exif_block(int orientation, bool big_endian = false) {
  auto two = [&](int v) { return big_endian ? Bytes{uint8_t(v >> 8), uint8_t(v)}
                                            : Bytes{uint8_t(v), uint8_t(v >> 8)}; };
  Bytes out = big_endian ? Bytes{'M', 'M', 0, 42, 0, 0, 0, 8} : Bytes{'I', 'I', 42, 0, 8, 0, 0, 0};
  auto add = [&](const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); };
  add(two(1));
  add(two(0x0112)), add(two(3));
  add(big_endian ? Bytes{0, 0, 0, 1} : Bytes{1, 0, 0, 0});
  add(two(orientation)), add({0, 0}), add({0, 0, 0, 0});
  return out;
}
inline Bytes exif_app1(int orientation, bool big_endian = false) {
  Bytes out{'E', 'x', 'i', 'f', 0, 0}, block = exif_block(orientation, big_endian);
  out.insert(out.end(), block.begin(), block.end());
  return out;
}

inline void put_big32(uint8_t* at, uint32_t value) {
  for (int i = 0; i < 4; ++i) at[i] = uint8_t(value >> (24 - 8 * i));
}

inline Bytes png_chunk(const char* kind, const Bytes& data) {
  Bytes out(data.size() + 12);
  put_big32(&out[0], uint32_t(data.size()));
  std::memcpy(&out[4], kind, 4);
  std::copy(data.begin(), data.end(), out.begin() + 8);
  put_big32(&out[out.size() - 4], uint32_t(::crc32(0, &out[4], uInt(data.size() + 4))));
  return out;
}

inline Bytes deflated(const Bytes& data) {
  uLongf size = ::compressBound(data.size());
  Bytes out(size);
  ::compress2(out.data(), &size, data.data(), data.size(), 6);
  out.resize(size);
  return out;
}

struct PngForm {
  int depth = 8;
  int type = 2;              // 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA
  bool interlaced = false;   // only with 8-bit RGB
  std::vector<Bytes> chunks; // put before the first IDAT
  std::vector<Bytes> after;  // put behind the last IDAT
};

inline int png_row_bytes(int width, const PngForm& form) {
  const int channels[] = {1, 0, 3, 1, 2, 0, 4};
  return (width * channels[form.type] * form.depth + 7) / 8;
}

// Rows of an Adam7 pass, or all rows; each begins with filter 0.
inline Bytes png_rows(int width, int height, const Bytes& rows, const PngForm& form) {
  Bytes out;
  if (!form.interlaced) {
    int bytes = png_row_bytes(width, form);
    for (int y = 0; y < height; ++y) {
      out.push_back(0);
      out.insert(out.end(), rows.begin() + y * bytes, rows.begin() + (y + 1) * bytes);
    }
    return out;
  }
  const int x0[] = {0, 4, 0, 2, 0, 1, 0}, y0[] = {0, 0, 4, 0, 2, 0, 1};
  const int dx[] = {8, 8, 4, 4, 2, 2, 1}, dy[] = {8, 8, 8, 4, 4, 2, 2};
  for (int pass = 0; pass < 7; ++pass) {
    for (int y = y0[pass]; y < height && x0[pass] < width; y += dy[pass]) {
      out.push_back(0);
      for (int x = x0[pass]; x < width; x += dx[pass]) {
        auto at = rows.begin() + (y * width + x) * 3;
        out.insert(out.end(), at, at + 3);
      }
    }
  }
  return out;
}

inline Bytes png_header(uint32_t width, uint32_t height, const PngForm& form = {}) {
  Bytes data(13);
  put_big32(&data[0], width);
  put_big32(&data[4], height);
  data[8] = uint8_t(form.depth), data[9] = uint8_t(form.type), data[12] = form.interlaced;
  return png_chunk("IHDR", data);
}

inline Bytes make_png(int width, int height, const Bytes& rows, const PngForm& form = {}) {
  Bytes out{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  auto add = [&](const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); };
  add(png_header(uint32_t(width), uint32_t(height), form));
  for (const Bytes& chunk : form.chunks) add(chunk);
  add(png_chunk("IDAT", deflated(png_rows(width, height, rows, form))));
  for (const Bytes& chunk : form.after) add(chunk);
  add(png_chunk("IEND", {}));
  return out;
}

// The Error that `call` throws, or a failure of the test.
template <class Call> Error thrown_by(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(Fault::internal, "");
}

}  // namespace graft::test
