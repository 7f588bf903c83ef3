// Two images in one on CUDA: every type the rounded sum of rounded products, the processor's bits.
#include <string>

#include "kernels/mix.h"
#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

template <class T>
struct CudaMix : testing::Test {};
TYPED_TEST_SUITE(CudaMix, Floats);

struct Example {
  int images, height, width;
  float share;
  std::vector<int32_t> box;
};

std::vector<Example> examples() {
  return {{1, 1, 1, 0.5f, {0, 0, 0, 0}},   {3, 1, 3, 0.25f, {0, 0, 0, 0}},
          {2, 3, 5, 0.7f, {1, 1, 4, 2}},   {5, 8, 8, 0.3f, {0, 0, 0, 0}},
          {5, 8, 8, 1, {2, 0, 8, 3}},      {2, 30, 34, 1, {0, 29, 34, 30}},
          {2, 65, 64, 0.9f, {0, 0, 0, 0}}, {3, 33, 129, 1, {128, 0, 129, 33}}};
}

std::vector<int32_t> partners_of(int images) {
  std::vector<int32_t> partners;
  for (int i = 0; i < images; ++i) partners.push_back((3 * i + 1) % images);
  return partners;
}

std::vector<double> mixed(const Example& e, const Normalization& n, const PixelTable& table,
                          const std::vector<uint8_t>& pixels) {
  const std::vector<int32_t> partners = partners_of(e.images);
  std::vector<double> y;
  for (int i = 0; i < e.images; ++i)
    for (int row = 0; row < e.height; ++row)
      for (int column = 0; column < e.width; ++column)
        for (int c = 0; c < 3; ++c) {
          auto value = [&](int image) {
            const int at = ((image * e.height + row) * e.width + column) * 3;
            return table.of[c][pixels[size_t(at + (n.bgr ? 2 - c : c))]];
          };
          const bool inside =
              column >= e.box[0] && column < e.box[2] && row >= e.box[1] && row < e.box[3];
          const int partner = partners[size_t(i)];
          volatile float a = e.share * value(inside ? partner : i);
          volatile float b = (1 - e.share) * value(partner);
          y.push_back(double(a + b));
        }
  return y;
}

TYPED_TEST(CudaMix, SumsAndPatches) {
  using T = TypeParam;
  on_device([] {
    for (const Example& e : examples())
      for (bool bgr : {false, true})
        for (size_t offset : {0, 1}) {
          SCOPED_TRACE(std::to_string(e.images) + " x " + std::to_string(e.height) + " x " +
                       std::to_string(e.width) + " from " + std::to_string(offset));
          const Normalization n{
              1.0f / 255, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, bgr};
          std::vector<uint8_t> pixels(size_t(e.images * e.height * e.width * 3));
          for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(i * 7 + i / 256);
          Array<uint8_t> in(pixels, offset);
          Array<int32_t> partners(partners_of(e.images)), box(e.box);
          Array<float> share(std::vector<float>{e.share});
          Array<T> y(pixels.size(), offset);
          normalize_mixed(n,
                          {e.images, e.height, e.width, partners.data(), share.data(), box.data()},
                          in.data(), y.data(), {});
          expect_values(y, mixed(e, n, pixel_table(n), pixels));
        }
  });
}

TEST(CudaMixNothing, OfNoImagesIsNothing) {
  on_device([] {
    normalize_mixed<float>({1.0f / 255, {0, 0, 0}, {1, 1, 1}}, {0, 4, 4, nullptr, nullptr, nullptr},
                           nullptr, nullptr, {});
  });
}

}  // namespace
}  // namespace graft::cuda
