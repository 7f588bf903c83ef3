// Normalising pixels on their way to the network. There are only 768 different results: the host
// computes them as the processor's kernel does, so that they are the same bits; they travel as an
// argument of the kernel, and blocks look them up in shared memory.
//
// A thread does four pixels at a time: 12 bytes in, three loads; 12 elements out, three stores.
// Bytes moved: 3 in and 12 (f32) or 6 out for a pixel, the limit. Not yet run on a GPU.
#include "kernels/augment.h"
#include "kernels/cuda/pack.cuh"

namespace graft::cuda {
namespace {

constexpr int kPixels = 4;  // of a thread at a time
constexpr int kTurns = 4;   // so that the table is worth its way

// pixels (count, 3) -> y (count, 3)
template <class T>
__global__ void __launch_bounds__(kBlock)
    normalize_pixels(const __grid_constant__ PixelTable values, bool bgr, bool vectors,
                     int64_t count, const uint8_t* pixels, T* y) {
  GRAFT_SHARED(PixelTable, table);  // (3, 256)
  for (int c = 0; c < 3; ++c) table.of[c][threadIdx.x] = values.of[c][threadIdx.x];
  __syncthreads();
  const int first = bgr ? 2 : 0, last = 2 - first;
  int64_t at = (int64_t(blockIdx.x) * kTurns * kBlock + threadIdx.x) * kPixels;
  for (int turn = 0; turn < kTurns; ++turn, at += kBlock * kPixels) {
    if (vectors && at + kPixels <= count) {
      uint8_t byte[3][4];
      float v[3][4];
#pragma unroll
      for (int k = 0; k < 3; ++k) load_raw(byte[k], pixels + at * 3 + 4 * k);
#pragma unroll
      for (int i = 0; i < kPixels; ++i) {
        const int r = 3 * i, g = r + 1, b = r + 2;
        const uint8_t red = byte[r / 4][r % 4], blue = byte[b / 4][b % 4];
        v[r / 4][r % 4] = table.of[0][bgr ? blue : red];
        v[g / 4][g % 4] = table.of[1][byte[g / 4][g % 4]];
        v[b / 4][b % 4] = table.of[2][bgr ? red : blue];
      }
#pragma unroll
      for (int k = 0; k < 3; ++k) store(y + at * 3 + 4 * k, v[k]);
    } else {
      for (int64_t i = at; i < min(at + kPixels, count); ++i) {
        y[3 * i] = from_float<T>(table.of[0][pixels[3 * i + first]]);
        y[3 * i + 1] = from_float<T>(table.of[1][pixels[3 * i + 1]]);
        y[3 * i + 2] = from_float<T>(table.of[2][pixels[3 * i + last]]);
      }
    }
  }
}

}  // namespace

template <class T>
void normalize(const Normalization& n, int64_t count, const uint8_t* pixels, T* y, Stream stream) {
  if (count <= 0) return;
  static_assert(kBlock == 256, "a thread for each value of a pixel");
  const int64_t threads = (count + kPixels * kTurns - 1) / (kPixels * kTurns);
  launch(normalize_pixels<T>,
         {dim3(blocks_for(threads)), dim3(kBlock), sizeof(PixelTable), stream},
         pixel_table(n), n.bgr, aligned({pixels}, 4) && aligned({y}), count, pixels, y);
}

#define GRAFT_NORMALIZE(T) \
  template void normalize(const Normalization&, int64_t, const uint8_t*, T*, Stream);
GRAFT_FOR_FLOATS(GRAFT_NORMALIZE)
#undef GRAFT_NORMALIZE

}  // namespace graft::cuda
