// The smallest program that mixes images, for seeded.sh: guarded arrays, exact results. Argument:
// forward, reverse or random. Prints PASS, or what is wrong.
#include <cstdio>
#include <vector>

#include "kernels/cuda/mix.cu"
#include "tests/cusim/guarded.h"
#include "tests/cusim/seeded.h"

using namespace graft;
using namespace graft::cuda;

namespace {

constexpr int kImages = 3, kBox[] = {2, 1, 7, 4};
constexpr Normalization kSame{1, {0, 0, 0}, {1, 1, 1}};  // values are the bytes

bool run(int height, int width, float share) {
  const int size = height * width * 3;
  cusim::Guarded<uint8_t> pixels(size_t(kImages * size));
  cusim::Guarded<float> y(pixels.size()), own(1);
  cusim::Guarded<int32_t> partners(kImages), box(4);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(i * 7 + i / 256);
  for (int i = 0; i < kImages; ++i) partners[size_t(i)] = (i + 1) % kImages;
  for (int i = 0; i < 4; ++i) box[size_t(i)] = kBox[i];
  own[0] = share;
  normalize_mixed(kSame, {kImages, height, width, partners.data(), own.data(), box.data()},
                  pixels.data(), y.data(), {});
  synchronize(Stream{});
  for (int i = 0; i < kImages * size; ++i) {
    const int image = i / size, at = i % size, row = at / 3 / width, column = at / 3 % width;
    const float a = pixels[size_t(i)], b = pixels[size_t((image + 1) % kImages * size + at)];
    const bool inside = column >= kBox[0] && column < kBox[2] && row >= kBox[1] && row < kBox[3];
    const float want = share * (inside ? b : a) + (1 - share) * b;
    if (y[size_t(i)] == want) continue;
    std::printf("FAIL %dx%d value %d: %g, expected %g\n", height, width, i, double(y[size_t(i)]),
                double(want));
    return false;
  }
  if (!y.intact()) std::printf("FAIL %dx%d: written beside it\n", height, width);
  return y.intact();
}

}  // namespace

int main(int count, char** arguments) {
  cusim::take_order(count, arguments);
  const bool good = run(36, 37, 0.25f) && run(5, 9, 0.5f) && run(65, 65, 1);  // 65 x 65: 2 blocks
  if (good) std::puts("PASS");
  return !good;
}
