// From pictures to the network's input on CUDA: resized as PIL does it, by the checksums of PIL's
// own results; normalised to the processor's bits.
#include "kernels/augment.h"

#include <memory>
#include <stdexcept>

#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

template <class T>
struct CudaNormalize : testing::Test {};
TYPED_TEST_SUITE(CudaNormalize, Floats);

TYPED_TEST(CudaNormalize, EveryValueOfAPixel) {
  using T = TypeParam;
  on_device([] {
    for (bool bgr : {false, true})
      for (float scale : {1.0f / 255, 0.0123f})
        for (int64_t count : {0, 1, 3, 4, 5, 257, 4099})
          for (size_t offset : {0, 1}) {
            SCOPED_TRACE(std::to_string(count) + " pixels from " + std::to_string(offset));
            const Normalization n{scale, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, bgr};
            std::vector<uint8_t> pixels;
            for (int64_t i = 0; i < 3 * count; ++i) pixels.push_back(uint8_t(i * 7 + i / 256));
            std::vector<double> want;
            for (size_t i = 0; i < pixels.size(); ++i) {
              const size_t c = i % 3, from = bgr ? i - c + 2 - c : i;
              volatile float x = scale == 1.0f / 255 ? float(pixels[from]) / 255.0f
                                                     : float(pixels[from]) * scale;
              want.push_back(double((x - n.mean[c]) / n.std[c]));
            }
            Array<uint8_t> in(pixels, offset);
            Array<T> y(pixels.size(), offset);
            normalize(n, count, in.data(), y.data(), {});
            expect_values(y, want);
          }
  });
}

std::vector<uint8_t> picture(int width, int height) {
  std::vector<uint8_t> rgb;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        rgb.push_back(uint8_t(x * 7 + y * 13 + c * 29 + x * y % 31 * 5 +
                              (x / 9 + y / 7) % 2 * 90));
  return rgb;
}

uint32_t crc32_of(const uint8_t* data, size_t bytes) {
  uint32_t crc = ~0u;
  for (size_t i = 0; i < bytes; ++i) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

struct Example {
  int width, height;
  Cut cut;       // its picture is picture(width, height)
  int size;
  uint32_t crc;  // zlib.crc32 of Image.crop().resize(..., BILINEAR), windowed and flipped
};

std::vector<Example> examples() {
  return {
      {50, 40, {nullptr, 150, 0, 0, 50, 40, 20, 16, 0, 0, false}, 16, 0x9c6b6f4},
      {50, 40, {nullptr, 150, 3, 5, 41, 25, 24, 24, 0, 0, true}, 24, 0x9169d9d4},
      {9, 7, {nullptr, 27, 0, 0, 9, 7, 30, 23, 3, 2, false}, 20, 0xba08f253},
      {30, 60, {nullptr, 90, 0, 0, 30, 60, 12, 24, -2, 4, true}, 16, 0x8f63091c},
      {300, 17, {nullptr, 900, 1, 0, 299, 17, 5, 33, 0, 1, false}, 5, 0x2b7cf681},
  };
}

TEST(CudaResize, GivesThePixelsOfPil) {
  on_device([] {
    for (Example e : examples()) {
      SCOPED_TRACE(std::to_string(e.width) + " x " + std::to_string(e.height));
      Array<uint8_t> rgb(picture(e.width, e.height)), out(size_t(e.size * e.size * 3));
      e.cut.rgb = rgb.data();
      resize(1, &e.cut, Array<Cut>({e.cut}).data(), e.size, out.data(), {});
      EXPECT_EQ(crc32_of(out.host().data(), size_t(e.size * e.size * 3)), e.crc);
    }
  });
}

TEST(CudaResize, CutsOfOneBatchMayDiffer) {
  on_device([] {
    const int size = 16;
    std::vector<Example> some = examples();
    std::vector<std::unique_ptr<Array<uint8_t>>> pictures;
    std::vector<Cut> cuts;
    for (const Example& e : some) {
      pictures.push_back(std::make_unique<Array<uint8_t>>(picture(e.width, e.height)));
      cuts.push_back(e.cut);
      cuts.back().rgb = pictures.back()->data();
    }
    const size_t bytes = size * size * 3;
    Array<uint8_t> together(bytes * cuts.size()), alone(bytes);
    const Array<Cut> device_cuts(cuts);
    resize(int64_t(cuts.size()), cuts.data(), device_cuts.data(), size, together.data(), {});
    const std::vector<uint8_t> all = together.host();
    for (size_t i = 0; i < cuts.size(); ++i) {
      resize(1, &cuts[i], device_cuts.data() + i, size, alone.data(), {});
      EXPECT_EQ(std::vector<uint8_t>(all.begin() + long(i * bytes),
                                     all.begin() + long((i + 1) * bytes)),
                alone.host());
      if (some[i].size == size) {
        EXPECT_EQ(crc32_of(alone.host().data(), bytes), some[i].crc);
      }
    }
  });
}

TEST(CudaResize, RefusesEmptyBoxes) {
  Cut cut = examples()[0].cut;
  cut.to_height = 0;
  EXPECT_THROW(resize(1, &cut, nullptr, 4, nullptr, {}), std::invalid_argument);
}

}  // namespace
}  // namespace graft::cuda
