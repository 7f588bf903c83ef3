#include "io/image.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>

#include "io/exif.h"
#include "io/source_file.h"
#include "tests/image_files.h"

namespace graft {
namespace {

using namespace test;

constexpr const char* file_name = "photo\n.jpg";

Image decoded(const test::Bytes& bytes, const DecodeOptions& options = {}) {
  return decode_image(bytes, file_name, options);
}
std::string message_of(const test::Bytes& bytes, const DecodeOptions& options = {}) {
  Error error = thrown_by([&] { decoded(bytes, options); });
  EXPECT_EQ(error.fault, Fault::data);
  EXPECT_TRUE(std::string(error.what()).starts_with("photo\\n.jpg")) << error.what();
  return error.what();
}
bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
test::Bytes as_bytes(const Image& image) {
  return {image.rgb.get(), image.rgb.get() + image.bytes()};
}
std::array<int, 3> pixel(const Image& image, int x, int y) {
  const uint8_t* p = image.rgb.get() + (size_t(y) * size_t(image.width) + size_t(x)) * 3;
  return {p[0], p[1], p[2]};
}
void expect_near(std::array<int, 3> a, std::array<int, 3> b, int tolerance) {
  for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(a[c], b[c], tolerance) << "channel " << c;
}
test::Bytes solid(int width, int height, std::initializer_list<int> values) {
  test::Bytes out;
  for (int i = 0; i < width * height; ++i) for (int v : values) out.push_back(uint8_t(v));
  return out;
}
size_t marker_at(const test::Bytes& jpeg, int marker) {
  for (size_t i = 2; i + 1 < jpeg.size(); ++i) {
    if (jpeg[i] == 0xff && jpeg[i + 1] == marker) return i;
  }
  return 0;
}

TEST(Image, RefusesWhatIsNoImage) {
  EXPECT_TRUE(contains(message_of({}), "empty"));
  std::string html = "<html><body>404</body></html>";
  std::string message = message_of({html.begin(), html.end()});
  EXPECT_TRUE(contains(message, "not an image")) << message;
  EXPECT_TRUE(contains(message, "<html>")) << message;
  message_of({0xff});
  message_of({0xff, 0xd8, 0xff});
  message_of({'B', 'M'});
  message_of({0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'});
}

TEST(Image, NamesFormatsItCannotRead) {
  auto message = [](std::string head) {
    head.resize(64);
    return message_of({head.begin(), head.end()});
  };
  EXPECT_TRUE(contains(message("GIF89a"), "unsupported format GIF"));
  EXPECT_TRUE(contains(message(std::string("RIFF\0\0\0\0WEBPVP8 ", 16)), "unsupported format WebP"));
  EXPECT_TRUE(contains(message(std::string("II*\0", 4)), "unsupported format TIFF"));
  EXPECT_TRUE(contains(message(std::string("MM\0*", 4)), "unsupported format TIFF"));
  EXPECT_TRUE(contains(message(std::string("\0\0\0\x18" "ftypheic", 12)), "unsupported format HEIC"));
  EXPECT_TRUE(contains(message(std::string("\0\0\0\x18" "ftypavif", 12)), "unsupported format AVIF"));
  EXPECT_TRUE(contains(message("P6\n1 1\n255\n"), "unsupported format PPM"));
}

TEST(Image, ContentDecidesNotTheName) {
  Folder folder;
  write_file(folder / "a.jpg", make_png(3, 2, picture(3, 2)));
  write_file(folder / "b.png", make_jpeg(3, 2, picture(3, 2)));
  EXPECT_EQ(as_bytes(read_image(folder / "a.jpg")), picture(3, 2));
  EXPECT_EQ(read_image(folder / "b.png").height, 2);
}

TEST(Image, EveryTruncationOfAJpegIsAnError) {
  for (bool progressive : {false, true}) {
    JpegForm form;
    form.progressive = progressive;
    test::Bytes whole = make_jpeg(200, 150, picture(200, 150), form);
    for (size_t part = 0; part < 16; ++part) {
      test::Bytes cut(whole.begin(), whole.begin() + long(whole.size() * part / 16));
      message_of(cut);
    }
    message_of({whole.begin(), whole.end() - 1});
    auto corner = [](int, int) { return Box{0, 0, 64, 8}; };  // the rest of the file counts too
    test::Bytes cut(whole.begin(), whole.begin() + long(whole.size() * 15 / 16));
    EXPECT_EQ(thrown_by([&] { decode_region(cut, "x", {}, corner); }).fault, Fault::data);
  }
}

TEST(Image, EveryTruncationOfAPngOrBmpIsAnError) {
  test::Bytes png = make_png(60, 50, picture(60, 50));
  for (size_t part = 0; part < 64; ++part) {
    message_of({png.begin(), png.begin() + long(png.size() * part / 64)});
  }
  test::Bytes bmp{'B', 'M'};
  bmp.resize(54);
  bmp[10] = 54, bmp[14] = 40, bmp[18] = 3, bmp[22] = 2, bmp[26] = 1, bmp[28] = 24;
  for (int i = 0; i < 24; ++i) bmp.push_back(uint8_t(i));
  Image image = decoded(bmp);
  EXPECT_EQ(pixel(image, 0, 0), (std::array<int, 3>{14, 13, 12}));  // bottom row first, BGR
  for (size_t n = 2; n < bmp.size(); ++n) message_of({bmp.begin(), bmp.begin() + long(n)});
}

TEST(Image, BadPngChecksumIsAnError) {
  test::Bytes png = make_png(20, 20, picture(20, 20));
  png[png.size() - 12 - 5] ^= 1;  // in the checksum of IDAT
  EXPECT_TRUE(contains(message_of(png), "checksum"));
  test::Bytes noted = png_chunk("tEXt", {'a', 0, 'b'});
  noted.back() ^= 1;  // never read, so it does not matter
  EXPECT_NO_THROW(decoded(make_png(2, 2, picture(2, 2), {.chunks = {noted}})));
}

TEST(Image, ShortOrBrokenPngDataIsAnError) {
  test::Bytes good = make_png(20, 20, picture(20, 20));
  test::Bytes head(good.begin(), good.begin() + 33);
  auto with = [&](const test::Bytes& data) {
    test::Bytes out = head;
    for (const test::Bytes& chunk : {png_chunk("IDAT", data), png_chunk("IEND", {})}) {
      out.insert(out.end(), chunk.begin(), chunk.end());
    }
    return out;
  };
  message_of(with(deflated(picture(20, 10))));
  message_of(with({1, 2, 3}));
  message_of(with({}));
  EXPECT_TRUE(contains(message_of([&] {
    test::Bytes out = head, end = png_chunk("IEND", {});
    out.insert(out.end(), end.begin(), end.end());
    return out;
  }()), "no IDAT"));
}

TEST(Image, RandomDamageDecodesOrThrows) {
  JpegForm progressive, restarts;
  progressive.progressive = true;
  restarts.restart = 2;
  restarts.app1 = exif_app1(6);
  std::vector<test::Bytes> files{make_jpeg(64, 48, picture(64, 48)),
                           make_jpeg(64, 48, picture(64, 48), progressive),
                           make_jpeg(64, 48, picture(64, 48), restarts),
                           make_png(40, 30, picture(40, 30)),
                           make_png(40, 30, picture(40, 30), {.interlaced = true})};
  int decoded_count = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    for (test::Bytes bytes : files) {
      Random random(seed, "flips");
      for (uint64_t n = 1 + random.below(8); n > 0; --n) {
        bytes[random.below(bytes.size())] = uint8_t(random.next());
      }
      try {
        decode_region(bytes, "x", {}, [](int w, int h) { return Box{w / 3, h / 3, w, h / 2}; });
        ++decoded_count;
      } catch (const Error& error) {
        EXPECT_EQ(error.fault, Fault::data) << error.what();
      }
    }
  }
  EXPECT_GT(decoded_count, 0);
}

// With valid checksums, so that the damage reaches the PNG decoder itself.
TEST(Image, DamagedPngDataDecodesOrThrows) {
  PngForm palette{.depth = 4, .type = 3, .chunks = {png_chunk("PLTE", picture(4, 4)),
                                                    png_chunk("tRNS", {0, 9, 200})}};
  std::vector<PngForm> forms{{}, {.depth = 16, .type = 6}, palette, {.depth = 1, .type = 0},
                             {.interlaced = true}};
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    Random random(seed, "png damage");
    const PngForm& form = forms[seed % forms.size()];
    int row = png_row_bytes(20, form);
    test::Bytes rows = form.interlaced ? picture(20, 20) : picture(row, 20, 1);
    test::Bytes data = png_rows(20, 20, rows, form);
    for (int n = 0; n < 4; ++n) data[random.below(data.size())] = uint8_t(random.next());
    test::Bytes packed = deflated(data);
    if (seed % 3) packed[random.below(packed.size())] ^= uint8_t(1u << random.below(8));
    test::Bytes file = make_png(20, 20, rows, form), idat = png_chunk("IDAT", packed);
    file.resize(33);
    for (const test::Bytes& chunk : form.chunks) file.insert(file.end(), chunk.begin(), chunk.end());
    file.insert(file.end(), idat.begin(), idat.end());
    test::Bytes end = png_chunk("IEND", {});
    file.insert(file.end(), end.begin(), end.end());
    try {
      decoded(file);
    } catch (const Error& error) {
      EXPECT_EQ(error.fault, Fault::data);
    }
  }
}

TEST(Image, HugeDimensionsAreRefusedAtOnce) {
  test::Bytes jpeg = make_jpeg(16, 16, picture(16, 16));
  size_t sof = marker_at(jpeg, 0xc0);
  for (size_t i : {sof + 5, sof + 7}) jpeg[i] = 65500 >> 8, jpeg[i + 1] = 65500 & 255;
  test::Bytes png = make_png(16, 16, picture(16, 16)), header = png_header(65500, 65500);
  std::copy(header.begin(), header.end(), png.begin() + 8);
  for (const test::Bytes& file : {jpeg, png}) {
    auto begin = std::chrono::steady_clock::now();
    EXPECT_TRUE(contains(message_of(file), "65500 x 65500"));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(10));
  }
  header = png_header(0xffffffffu, 0xffffffffu);  // the product overflows 64 bits
  std::copy(header.begin(), header.end(), png.begin() + 8);
  message_of(png);
}

TEST(Image, PixelLimitIsExact) {
  DecodeOptions options;
  options.max_pixels = 6;
  EXPECT_NO_THROW(decoded(make_png(3, 2, picture(3, 2)), options));
  EXPECT_TRUE(contains(message_of(make_png(7, 1, picture(7, 1)), options), "limit of 6"));
}

TEST(Image, NoPixelsIsAnError) {
  test::Bytes jpeg = make_jpeg(16, 16, picture(16, 16));
  size_t sof = marker_at(jpeg, 0xc0);
  jpeg[sof + 5] = jpeg[sof + 6] = 0;
  message_of(jpeg);
  message_of(make_png(0, 5, {}));
  message_of(make_png(5, 0, {}));
}

TEST(Image, CmykAndYcckAreInverted) {
  for (J_COLOR_SPACE stored : {JCS_CMYK, JCS_YCCK}) {
    JpegForm form{.from = JCS_CMYK, .stored = stored, .quality = 100};
    Image red = decoded(make_jpeg(40, 40, solid(40, 40, {255, 0, 0, 255}), form));
    expect_near(pixel(red, 20, 20), {255, 0, 0}, 2);
    Image dark = decoded(make_jpeg(40, 40, solid(40, 40, {255, 255, 0, 128}), form));
    expect_near(pixel(dark, 20, 20), {128, 128, 0}, 2);
  }
}

TEST(Image, GreyAndRgbJpegs) {
  JpegForm grey{.from = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE};
  expect_near(pixel(decoded(make_jpeg(20, 9, solid(20, 9, {77}), grey)), 19, 8), {77, 77, 77}, 1);
  JpegForm rgb{.from = JCS_RGB, .stored = JCS_RGB, .h = 1, .v = 1, .quality = 100};
  expect_near(pixel(decoded(make_jpeg(20, 9, solid(20, 9, {10, 200, 90}), rgb)), 3, 3),
              {10, 200, 90}, 2);
}

TEST(Image, UnusualKindsOfJpeg) {
  JpegForm arithmetic{.arithmetic = true};
  Image image = decoded(make_jpeg(30, 30, solid(30, 30, {10, 200, 90}), arithmetic));
  expect_near(pixel(image, 15, 15), {10, 200, 90}, 3);
  test::Bytes jpeg = make_jpeg(16, 16, picture(16, 16));
  test::Bytes twelve_bits = jpeg, lossless = jpeg;
  twelve_bits[marker_at(jpeg, 0xc0) + 4] = 12;
  lossless[marker_at(jpeg, 0xc0) + 1] = 0xc3;
  EXPECT_TRUE(contains(message_of(twelve_bits), "unsupported"));
  EXPECT_TRUE(contains(message_of(lossless), "unsupported"));
}

TEST(Image, ScansAreLimited) {
  JpegForm progressive{.progressive = true}, many{.many_scans = true};
  EXPECT_EQ(decoded(make_jpeg(64, 64, picture(64, 64), progressive)).width, 64);
  EXPECT_TRUE(contains(message_of(make_jpeg(64, 64, picture(64, 64), many)), "scans"));
}

// Whatever the sampling, the pixels inside a box are those of the whole picture.
TEST(Image, RegionsEqualTheWholePicture) {
  struct { int h, v; } samplings[] = {{1, 1}, {2, 1}, {2, 2}, {1, 2}, {4, 1}, {4, 2}};
  for (bool progressive : {false, true}) {
    for (auto [h, v] : samplings) {
      JpegForm form{.h = h, .v = v, .progressive = progressive, .app1 = exif_app1(1 + h * v % 8)};
      test::Bytes file = make_jpeg(301, 203, picture(301, 203), form);
      Image whole = decoded(file);
      Random random(uint64_t(h * 10 + v), "boxes");
      for (int n = 0; n < 60; ++n) {
        Box box;
        Region region = decode_region(file, "x", {}, [&](int width, int height) {
          EXPECT_EQ(width, whole.width);
          box.x0 = int(random.below(uint64_t(width)));
          box.y0 = int(random.below(uint64_t(height)));
          box.x1 = box.x0 + 1 + int(random.below(uint64_t(width - box.x0)));
          box.y1 = box.y0 + 1 + int(random.below(uint64_t(height - box.y0)));
          return box;
        });
        ASSERT_LE(region.x, box.x0);
        ASSERT_LE(region.y, box.y0);
        ASSERT_GE(region.x + region.image.width, box.x1);
        ASSERT_GE(region.y + region.image.height, box.y1);
        for (int y = box.y0; y < box.y1; ++y) {
          const uint8_t* a = whole.rgb.get() + (int64_t(y) * whole.width + box.x0) * 3;
          const uint8_t* b = region.image.rgb.get() +
                             (int64_t(y - region.y) * region.image.width + box.x0 - region.x) * 3;
          ASSERT_EQ(std::memcmp(a, b, size_t(box.width()) * 3), 0)
              << h << "x" << v << " row " << y << " of box " << box.x0 << "," << box.y0 << ","
              << box.x1 << "," << box.y1;
        }
      }
    }
  }
}

TEST(Image, OrientationIsApplied) {
  const int w = 5, h = 3;
  test::Bytes rgb = picture(w, h);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (bool big_endian : {false, true}) {
      PngForm form{.chunks = {png_chunk("eXIf", exif_block(orientation, big_endian))}};
      test::Bytes file = make_png(w, h, rgb, form);
      Image image = decoded(file);
      ASSERT_EQ(image.width, orientation < 5 ? w : h);
      ImageInfo info = probe_image(file, "x");
      EXPECT_EQ(info.width, image.width);
      EXPECT_EQ(info.orientation, orientation);
      for (int y = 0; y < image.height; ++y) {
        for (int x = 0; x < image.width; ++x) {
          // Row and column of the stored picture that the standard puts here.
          int sx[] = {0, x, w - 1 - x, w - 1 - x, x, y, y, w - 1 - y, w - 1 - y};
          int sy[] = {0, y, y, h - 1 - y, h - 1 - y, x, h - 1 - x, h - 1 - x, x};
          const uint8_t* p = &rgb[size_t(sy[orientation] * w + sx[orientation]) * 3];
          EXPECT_EQ(pixel(image, x, y), (std::array<int, 3>{p[0], p[1], p[2]})) << orientation;
        }
      }
      DecodeOptions as_stored;
      as_stored.exif = false;
      EXPECT_EQ(as_bytes(decoded(file, as_stored)), rgb);
    }
  }
  JpegForm form{.app1 = exif_app1(6)};
  EXPECT_EQ(decoded(make_jpeg(40, 20, picture(40, 20), form)).width, 20);
}

TEST(Image, BoxesTurnThereAndBack) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    Box box{1, 2, 4, 7};
    Box back = stored_box(turned_box(box, orientation, 9, 11), orientation, 9, 11);
    EXPECT_EQ(back.x0, box.x0);
    EXPECT_EQ(back.y0, box.y0);
    EXPECT_EQ(back.x1, box.x1);
    EXPECT_EQ(back.y1, box.y1);
  }
}

TEST(Image, BrokenExifIsIgnored) {
  test::Bytes good = exif_app1(6);
  for (size_t i = 0; i < good.size(); ++i) {
    for (int value : {0, 255}) {
      JpegForm form{.app1 = good};
      form.app1[i] = uint8_t(value);
      EXPECT_NO_THROW(decoded(make_jpeg(8, 8, picture(8, 8), form)));
    }
    JpegForm cut{.app1 = {good.begin(), good.begin() + long(i)}};
    EXPECT_EQ(decoded(make_jpeg(40, 20, picture(40, 20), cut)).width, i < 28 ? 40 : 20);
  }
  JpegForm nine{.app1 = exif_app1(9)};
  EXPECT_EQ(decoded(make_jpeg(40, 20, picture(40, 20), nine)).width, 40);
}

TEST(Image, PngGreyPaletteAndDepths) {
  using P = std::array<int, 3>;
  EXPECT_EQ(pixel(decoded(make_png(2, 1, {7, 9}, {.type = 0})), 1, 0), (P{9, 9, 9}));
  EXPECT_EQ(pixel(decoded(make_png(8, 1, {0x40}, {.depth = 1, .type = 0})), 1, 0), (P{255, 255, 255}));
  EXPECT_EQ(pixel(decoded(make_png(4, 1, {0x1b}, {.depth = 2, .type = 0})), 2, 0), (P{170, 170, 170}));
  EXPECT_EQ(pixel(decoded(make_png(2, 1, {0x3c}, {.depth = 4, .type = 0})), 1, 0), (P{204, 204, 204}));
  EXPECT_EQ(pixel(decoded(make_png(1, 1, {0x12, 0xff}, {.depth = 16, .type = 0})), 0, 0),
            (P{18, 18, 18}));
  EXPECT_EQ(pixel(decoded(make_png(1, 1, {1, 255, 2, 255, 3, 255}, {.depth = 16, .type = 2})), 0, 0),
            (P{1, 2, 3}));
  PngForm palette{.type = 3, .chunks = {png_chunk("PLTE", {1, 2, 3, 40, 50, 60})}};
  EXPECT_EQ(pixel(decoded(make_png(2, 1, {0, 1}, palette)), 1, 0), (P{40, 50, 60}));
  palette.depth = 1;
  EXPECT_EQ(pixel(decoded(make_png(8, 1, {0x40}, palette)), 1, 0), (P{40, 50, 60}));
}

TEST(Image, TransparencyIsBlendedOverTheBackground) {
  using P = std::array<int, 3>;
  DecodeOptions options;
  options.background = {100, 0, 200};
  EXPECT_EQ(pixel(decoded(make_png(1, 1, {9, 9, 9, 0}, {.type = 6}), options), 0, 0), (P{100, 0, 200}));
  EXPECT_EQ(pixel(decoded(make_png(1, 1, {9, 8, 7, 255}, {.type = 6}), options), 0, 0), (P{9, 8, 7}));
  EXPECT_EQ(pixel(decoded(make_png(1, 1, {200, 100, 0, 128}, {.type = 6})), 0, 0), (P{227, 177, 127}));
  EXPECT_EQ(pixel(decoded(make_png(1, 1, {50, 0}, {.type = 4}), options), 0, 0), (P{100, 0, 200}));
  EXPECT_EQ(pixel(decoded(make_png(1, 1, {50, 255}, {.type = 4}), options), 0, 0), (P{50, 50, 50}));
  PngForm palette{.type = 3,
                  .chunks = {png_chunk("PLTE", {1, 2, 3, 40, 50, 60}), png_chunk("tRNS", {0})}};
  Image image = decoded(make_png(2, 1, {0, 1}, palette), options);
  EXPECT_EQ(pixel(image, 0, 0), (P{100, 0, 200}));
  EXPECT_EQ(pixel(image, 1, 0), (P{40, 50, 60}));
  PngForm key{.type = 2, .chunks = {png_chunk("tRNS", {0, 5, 0, 6, 0, 7})}};
  image = decoded(make_png(2, 1, {5, 6, 7, 5, 6, 8}, key), options);
  EXPECT_EQ(pixel(image, 0, 0), (P{100, 0, 200}));
  EXPECT_EQ(pixel(image, 1, 0), (P{5, 6, 8}));
}

TEST(Image, InterlacedAndAnimatedPng) {
  for (auto [w, h] : {std::pair{1, 1}, {3, 2}, {8, 8}, {13, 9}}) {
    EXPECT_EQ(as_bytes(decoded(make_png(w, h, picture(w, h), {.interlaced = true}))), picture(w, h));
  }
  PngForm animated{.chunks = {png_chunk("acTL", {0, 0, 0, 2, 0, 0, 0, 0})},
                   .after = {png_chunk("fcTL", test::Bytes(26)), png_chunk("fdAT", test::Bytes(40))}};
  EXPECT_EQ(as_bytes(decoded(make_png(4, 4, picture(4, 4), animated))), picture(4, 4));
}

TEST(Image, ZlibBombsAreBounded) {
  test::Bytes zeros(64 << 20), profile{'x', 0, 0}, bomb = deflated(zeros);
  profile.insert(profile.end(), bomb.begin(), bomb.end());
  PngForm form{.chunks = {png_chunk("iCCP", profile), png_chunk("zTXt", profile)}};
  EXPECT_NO_THROW(decoded(make_png(4, 4, picture(4, 4), form)));  // never unpacked
  test::Bytes file = make_png(4, 4, picture(4, 4)), idat = png_chunk("IDAT", bomb);
  file.resize(33);
  file.insert(file.end(), idat.begin(), idat.end());
  test::Bytes end = png_chunk("IEND", {});
  file.insert(file.end(), end.begin(), end.end());
  message_of(file);  // 64 MiB for 16 pixels: out of the budget
}

TEST(SourceFile, RefusesWhatIsNoFile) {
  Folder folder;
  EXPECT_EQ(thrown_by([&] { read_source(folder / "none"); }).fault, Fault::no_input);
  EXPECT_EQ(thrown_by([&] { read_source(folder.path()); }).fault, Fault::data);
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(thrown_by([&] { read_source(folder / "fifo"); }).fault, Fault::data);
  EXPECT_EQ(thrown_by([&] { read_source("/dev/zero"); }).fault, Fault::data);
  int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (folder / "socket").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_THROW(read_source(folder / "socket"), Error);
  ::close(fd);
  write_text(folder / "big", "12345");
  EXPECT_EQ(thrown_by([&] { read_source(folder / "big", 4); }).fault, Fault::data);
}

TEST(SourceFile, PermissionIsNamed) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  Folder folder;
  write_text(folder / "secret", "x");
  ::chmod((folder / "secret").c_str(), 0);
  Error error = thrown_by([&] { read_source(folder / "secret"); });
  EXPECT_EQ(error.fault, Fault::permission);
  EXPECT_TRUE(contains(error.what(), "secret"));
}

TEST(SourceFile, NamesAreEscaped) {
  EXPECT_EQ(escaped("plain name-1.jpg"), "plain name-1.jpg");
  EXPECT_EQ(escaped("a\nb\tc\\d\x1b[0m"), "a\\nb\\tc\\\\d\\x1b[0m");
  EXPECT_EQ(escaped("gr\xc3\xbcn \xe2\x82\xac \xf0\x9f\x8c\xb8"), "gr\xc3\xbcn \xe2\x82\xac \xf0\x9f\x8c\xb8");
  EXPECT_EQ(escaped("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(escaped("\xc0\xaf\xed\xa0\x80"), "\\xc0\\xaf\\xed\\xa0\\x80");  // overlong, surrogate
}

}  // namespace
}  // namespace graft
