// Dropout, with the processor's masks bit for bit.
//
// One Philox block yields four words, which belong to four elements, 16 apart. So a thread computes
// the kWidth blocks b, b + 1, ... of one stretch of 64 elements and does the elements
//
//   64 s + 16 w + b ... + kWidth   for w = 0, 1, 2, 3:   four loads and stores of 16 bytes.
//
// Bytes moved: x and y once, the limit; about 60 integer instructions for a block of four elements.
// Not yet run on a GPU.
#include <cmath>

#include "kernels/cuda/pack.cuh"
#include "kernels/elementwise.h"

namespace graft::cuda {
namespace {

struct Words {
  uint32_t word[4];
};

// Philox4x32-10 (Salmon et al., 2011).
__device__ Words philox(uint64_t counter, uint64_t index, const DropoutMask& mask) {
  uint32_t c0 = uint32_t(counter), c1 = uint32_t(counter >> 32);
  uint32_t c2 = uint32_t(index), c3 = uint32_t(index >> 32);
  uint32_t k0 = mask.key[0], k1 = mask.key[1];
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint32_t a = __umulhi(0xD2511F53u, c0), b = __umulhi(0xCD9E8D57u, c2);
    const uint32_t a_low = 0xD2511F53u * c0, b_low = 0xCD9E8D57u * c2;
    c0 = b ^ c1 ^ k0;
    c1 = b_low;
    c2 = a ^ c3 ^ k1;
    c3 = a_low;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// x, y (n)
template <class T, int kWidth>
__global__ void __launch_bounds__(kBlock)
    drop(const DropoutMask mask, uint32_t threshold, float keep, int64_t n, const T* x, T* y) {
  const int64_t first = (int64_t(blockIdx.x) * kBlock + threadIdx.x) * kWidth;  // Philox block
  const int64_t at = first / 16 * 64 + first % 16;
  if (at >= n) return;
  const auto index = uint64_t(*mask.index);
  Words words[kWidth];
#pragma unroll
  for (int j = 0; j < kWidth; ++j) words[j] = philox(uint64_t(first + j), index, mask);
#pragma unroll
  for (int w = 0; w < 4; ++w) {
    const int64_t i = at + 16 * w;
    if (i + kWidth <= n) {
      float v[kWidth];
      load(v, x + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) v[j] = words[j].word[w] < threshold ? 0.0f : v[j] * keep;
      store(y + i, v);
    } else {
#pragma unroll
      for (int j = 0; j < kWidth; ++j)
        if (i + j < n)
          y[i + j] = from_float<T>(words[j].word[w] < threshold ? 0.0f : as_float(x[i + j]) * keep);
    }
  }
}

}  // namespace

template <class T>
void dropout(const DropoutMask& mask, int64_t n, const T* x, T* y, Stream stream) {
  if (n <= 0) return;
  // Drop where the word is below p 2^32. At p = 1 the one word that is not below gets factor 0.
  const auto threshold = uint32_t(std::min(std::ldexp(double(mask.p), 32), 4294967295.0));
  const float keep = mask.p < 1 ? 1.0f / (1.0f - mask.p) : 0.0f;
  const int64_t philox_blocks = (n + 63) / 64 * 16;
  with_width<kPack<T>>(aligned({x, y}), [&](auto width) {
    launch(drop<T, width>, {dim3(blocks_for(philox_blocks / width)), dim3(kBlock), 0, stream}, mask,
           threshold, keep, n, x, y);
  });
}

#define GRAFT_DROPOUT(T) template void dropout(const DropoutMask&, int64_t, const T*, T*, Stream);
GRAFT_FOR_FLOATS(GRAFT_DROPOUT)
#undef GRAFT_DROPOUT

}  // namespace graft::cuda
