// JPEG through libjpeg(-turbo): accurate integer DCT and smooth chroma upsampling, its defaults.
// Every warning of the library is an error here, so that a damaged file is never half a picture.
#include <cstdio>  // jpeglib.h wants it first

#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <csetjmp>
#include <string_view>

#include "core/check.h"
#include "io/codec.h"
#include "io/source_file.h"

namespace graft {
namespace {

struct Decompressor : jpeg_decompress_struct {
  Decompressor() : jpeg_decompress_struct{} {}
  ~Decompressor() { jpeg_destroy_decompress(this); }  // also when it was never created
};

// libjpeg reports failure by a call that must not return: we jump back to step(), which throws.
// Only the code inside step() is jumped over, and nothing there owns anything.
class Reader {
 public:
  explicit Reader(const Source& source) : source_(source) {
    info_.err = jpeg_std_error(&errors_);
    info_.client_data = this;
    errors_.error_exit = [](j_common_ptr info) { of(info).give_up(); };
    errors_.emit_message = [](j_common_ptr info, int level) {
      if (level < 0) of(info).give_up();
    };
    errors_.output_message = [](j_common_ptr) {};
    progress_.progress_monitor = [](j_common_ptr info) { of(info).check_scans(); };
    step([&] { jpeg_create_decompress(&info_); });
    info_.progress = &progress_;
    step([&] {
      jpeg_mem_src(&info_, source_.bytes.data(), static_cast<unsigned long>(source_.bytes.size()));
      jpeg_read_header(&info_, TRUE);
    });
    check_dimensions(source_, "JPEG", info_.image_width, info_.image_height);
    limit_memory();
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  StoredSize size() const { return {int(info_.image_width), int(info_.image_height)}; }
  Region decode(const Box& box);

 private:
  static Reader& of(j_common_ptr info) { return *static_cast<Reader*>(info->client_data); }

  template <class Step>
  void step(Step work) {
    if (setjmp(jump_)) throw_failure();
    work();
  }

  [[noreturn]] void give_up() { std::longjmp(jump_, 1); }
  [[noreturn]] void throw_failure();
  void check_scans();
  void limit_memory();
  void choose_colours();
  Box start(const Box& box);
  void read_rows(int count, uint8_t* rows, int64_t stride);
  void skip_rows(int count, uint8_t* scratch);
  int step_height() const { return info_.max_v_samp_factor * DCTSIZE; }  // of a row of blocks

  const Source& source_;
  Decompressor info_;
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_;
  bool too_many_scans_ = false;
};

void Reader::throw_failure() {
  std::string name = escaped(source_.name);
  if (too_many_scans_) {
    fail(Fault::data, "{}: refused: a progressive JPEG with {} scans or more", name,
         info_.input_scan_number);
  }
  char text[JMSG_LENGTH_MAX];
  errors_.format_message(reinterpret_cast<j_common_ptr>(&info_), text);
  switch (errors_.msg_code) {
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_ARITH_NOTIMPL:
      fail(Fault::data, "{}: unsupported kind of JPEG ({}); save it again as 8-bit baseline", name,
           text);
    case JERR_OUT_OF_MEMORY:
    case JERR_NO_BACKING_STORE:
      fail(Fault::data, "{}: this JPEG needs more memory than its size allows ({})", name, text);
    default:
      fail(Fault::data, "{}: damaged JPEG ({}); replace it or remove it", name, text);
  }
}

// A few bytes can ask for many passes over a large picture; bounds their number and their work.
void Reader::check_scans() {
  constexpr int max_scans = 500;
  constexpr int64_t max_pixels_in_all_scans = 4'000'000'000;
  int64_t pixels = int64_t(info_.image_width) * info_.image_height;
  int scans = info_.input_scan_number;
  if (scans > max_scans || (scans > 16 && scans * pixels > max_pixels_in_all_scans)) {
    too_many_scans_ = true;
    give_up();
  }
}

// Progressive files are held as 16-bit coefficients, at most 4 components, padded to whole blocks.
void Reader::limit_memory() {
  int64_t wide = (int64_t(info_.image_width) + 31) / 32 * 32;
  int64_t high = (int64_t(info_.image_height) + 31) / 32 * 32;
  info_.mem->max_memory_to_use = long(wide * high * 12 + (16 << 20));
}

void Reader::choose_colours() {
  switch (info_.jpeg_color_space) {
    case JCS_GRAYSCALE:
    case JCS_RGB:
    case JCS_YCbCr:
      info_.out_color_space = JCS_RGB;
      return;
    case JCS_CMYK:
    case JCS_YCCK:
      info_.out_color_space = JCS_CMYK;
      return;
    default:
      fail(Fault::data, "{}: unsupported kind of JPEG ({} components)", escaped(source_.name),
           info_.num_components);
  }
}

// Starts with the columns of the box, and enough beside them that the interpolation of chroma sees
// what it would see in the whole picture. Returns the box that will come out.
Box Reader::start(const Box& box) {
  constexpr int beside = 2;
  int width = int(info_.image_width);
  step([&] { jpeg_start_decompress(&info_); });
  int x0 = std::max(box.x0 - beside, 0), x1 = std::min(box.x1 + beside, width);
  bool worthwhile = x1 - x0 >= 64 && (x0 > 0 || x1 < width);
  if (!worthwhile) return {0, box.y0, width, box.y1};
  JDIMENSION first = JDIMENSION(x0), count = JDIMENSION(x1 - x0);
  step([&] { jpeg_crop_scanline(&info_, &first, &count); });
  return {int(first), box.y0, int(first + count), box.y1};
}

void Reader::read_rows(int count, uint8_t* rows, int64_t stride) {
  step([&] {
    while (count > 0) {
      JSAMPROW row = rows;
      if (jpeg_read_scanlines(&info_, &row, 1) != 1) give_up();
      rows += stride;
      --count;
    }
  });
}

void Reader::skip_rows(int count, uint8_t* scratch) {
  int whole =
      (count / step_height() - 1) * step_height();  // the last ones are decoded: see start()
  if (whole > 0) {
    step([&] { jpeg_skip_scanlines(&info_, JDIMENSION(whole)); });
    count -= whole;
  }
  read_rows(count, scratch, 0);
}

void rgb_of_cmyk(const uint8_t* cmyk, uint8_t* rgb, int pixels) {  // all inverted: 255 is no ink
  for (int i = 0; i < pixels; ++i) {
    int white = cmyk[i * 4 + 3];
    for (int c = 0; c < 3; ++c) {
      int product = (255 - cmyk[i * 4 + c]) * white + 128;
      rgb[i * 3 + c] = uint8_t(std::clamp(white - (((product >> 8) + product) >> 8), 0, 255));
    }
  }
}

Region Reader::decode(const Box& wanted) {
  choose_colours();
  Box box = start(wanted);
  bool cmyk = info_.out_color_space == JCS_CMYK;
  auto scratch = std::make_unique_for_overwrite<uint8_t[]>(size_t(box.width()) * 4);
  skip_rows(box.y0, scratch.get());
  Region region{Image(box.width(), box.height()), box.x0, box.y0};
  int64_t stride = int64_t(box.width()) * 3;
  if (!cmyk) {
    read_rows(box.height(), region.image.rgb.get(), stride);
  } else {
    for (int y = 0; y < box.height(); ++y) {
      read_rows(1, scratch.get(), 0);
      rgb_of_cmyk(scratch.get(), region.image.rgb.get() + y * stride, box.width());
    }
  }
  // The rest is read too, so that a file is good or bad whatever box was asked for.
  skip_rows(int(info_.output_height) - box.y1, scratch.get());
  step([&] { jpeg_finish_decompress(&info_); });
  return region;
}

}  // namespace

StoredSize jpeg_size(const Source& source) { return Reader(source).size(); }

Region decode_jpeg(const Source& source, const BoxChooser& choose) {
  Reader reader(source);
  StoredSize size = reader.size();
  return reader.decode(choose(size.width, size.height));
}

}  // namespace graft
