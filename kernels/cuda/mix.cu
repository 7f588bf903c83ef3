// Two images in one. A thread has four neighbouring pixels in each of its turns, a block some
// thousand of one image. What a pixel's value is worth in the sum, of an image and of a partner, is
// looked up, for there are only 768 values of either: so products are rounded before they are
// added, as on the processor.
//
// Bytes moved for a pixel: 3 of the image, 3 of its partner, and the result; the limit where no
// cache has the partner. Not yet run on a GPU.
#include "kernels/cuda/pack.cuh"
#include "kernels/mix.h"

namespace graft::cuda {
namespace {

constexpr int kPixels = 4;  // of a thread at a time
constexpr int kTurns = 4;   // so that the tables are worth their way

struct MixTables {  // a pixel's value times its share
  PixelTable own, partner;  // (3, 256)
};

struct MixBox {
  int x0, y0, x1, y1, width;  // the last of an image

  __device__ explicit MixBox(const MixProblem& p)
      : x0(p.box[0]), y0(p.box[1]), x1(p.box[2]), y1(p.box[3]), width(p.width) {}
  __device__ bool has(int x, int y) const { return x >= x0 && x < x1 && y >= y0 && y < y1; }
};

// Pixels [pixel, pixel + kCount) of an image a with partner b -> to, all (height, width, 3).
template <int kCount, class T>
__device__ void mix(const MixTables& table, const MixBox& box, bool bgr, int pixel,
                    const uint8_t* a, const uint8_t* b, T* to) {
  uint8_t own[3][kCount], partner[3][kCount];
  float v[3][kCount];
#pragma unroll
  for (int k = 0; k < 3; ++k) {
    load_raw(own[k], a + 3 * pixel + k * kCount);
    load_raw(partner[k], b + 3 * pixel + k * kCount);
  }
  int y = pixel / box.width, x = pixel - y * box.width;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    const bool inside = box.has(x, y);
    if (++x == box.width) x = 0, ++y;
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      const int at = 3 * i + c, swapped = 3 * i + 2 - c;
      const uint8_t theirs =
          bgr ? partner[swapped / kCount][swapped % kCount] : partner[at / kCount][at % kCount];
      const uint8_t mine =
          bgr ? own[swapped / kCount][swapped % kCount] : own[at / kCount][at % kCount];
      v[at / kCount][at % kCount] =
          table.own.of[c][inside ? theirs : mine] + table.partner.of[c][theirs];
    }
  }
#pragma unroll
  for (int k = 0; k < 3; ++k) store(to + 3 * pixel + k * kCount, v[k]);
}

// pixels (images, height, width, 3) -> y, likewise; `parts` blocks for each image.
template <int kCount, class T>
__global__ void __launch_bounds__(kBlock)
    mix_pixels(const __grid_constant__ PixelTable values, bool bgr, unsigned parts,
               const MixProblem p, const uint8_t* pixels, T* y) {
  GRAFT_SHARED(MixTables, table);
  const float share = *p.share;
  for (int c = 0; c < 3; ++c) {
    const float value = values.of[c][threadIdx.x];
    table.own.of[c][threadIdx.x] = share * value;
    table.partner.of[c][threadIdx.x] = (1.0f - share) * value;
  }
  __syncthreads();
  const MixBox box(p);
  const int size = p.height * p.width, part = int(blockIdx.x % parts);
  const int64_t image = blockIdx.x / parts, bytes = int64_t(size) * 3;
  const uint8_t *a = pixels + image * bytes, *b = pixels + p.partners[image] * bytes;
  int pixel = (part * kTurns * kBlock + int(threadIdx.x)) * kCount;
  for (int turn = 0; turn < kTurns && pixel < size; ++turn, pixel += kBlock * kCount)
    mix<kCount>(table, box, bgr, pixel, a, b, y + image * bytes);
}

}  // namespace

template <class T>
void normalize_mixed(const Normalization& n, const MixProblem& p, const uint8_t* pixels, T* y,
                     Stream stream) {
  static_assert(kBlock == 256, "a thread for each value of a pixel");
  const int64_t size = int64_t(p.height) * p.width;
  if (p.images <= 0 || size <= 0) return;
  with_width<kPixels>(size % kPixels == 0 && aligned({pixels}, 4) && aligned({y}), [&](auto count) {
    const unsigned parts = blocks_for((size + count * kTurns - 1) / (count * kTurns));
    launch(mix_pixels<count, T>,
           {dim3(unsigned(p.images) * parts), dim3(kBlock), sizeof(MixTables), stream},
           pixel_table(n), n.bgr, parts, p, pixels, y);
  });
}

#define GRAFT_MIX(T)                                                                         \
  template void normalize_mixed(const Normalization&, const MixProblem&, const uint8_t*, T*, \
                                Stream);
GRAFT_FOR_FLOATS(GRAFT_MIX)
#undef GRAFT_MIX

}  // namespace graft::cuda
