// Elementwise functions: one loop over the elements, which the compiler vectorises, in as many
// threads as there are elements for; activations are made of the structs of kernels/elementwise.h,
// dropout of 16 Philox blocks side by side. Measured on two cores, GB/s forward and backward: relu
// 31 and 36, gelu 15 and 16, hardswish 31 and 38 (bench/RESULTS.md, Operations).
#include "kernels/elementwise.h"

#include <cmath>

#include "kernels/parallel.h"

namespace graft::cpu {
namespace {

constexpr int64_t kGrain = 16384;  // elements: below this a second thread costs more than it saves

template <class F>
void each(int64_t n, const F& f) {
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}

template <class F>
void each_column(int64_t rows, int64_t c, const F& f) {
  parallel_for(rows, kGrain / std::max<int64_t>(c, 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
#pragma omp simd
      for (int64_t j = 0; j < c; ++j) f(row * c + j, j);
    }
  });
}

// kLanes Philox4x32-10 blocks side by side, so that the compiler vectorises across blocks.
// 64 words for 64 neighbouring elements.
constexpr int kLanes = 16;
struct Blocks {
  uint32_t word[4][kLanes];
};

void philox_blocks(uint64_t first, const DropoutMask& mask, Blocks& out) {
  const auto index = uint64_t(*mask.index);
  uint32_t(&c)[4][kLanes] = out.word;
  for (int i = 0; i < kLanes; ++i) {
    c[0][i] = uint32_t(first + uint64_t(i));
    c[1][i] = uint32_t((first + uint64_t(i)) >> 32);
    c[2][i] = uint32_t(index);
    c[3][i] = uint32_t(index >> 32);
  }
  uint32_t k0 = mask.key[0], k1 = mask.key[1];
  for (int round = 0; round < 10; ++round) {
#pragma omp simd
    for (int i = 0; i < kLanes; ++i) {
      uint64_t a = uint64_t(0xD2511F53u) * c[0][i];
      uint64_t b = uint64_t(0xCD9E8D57u) * c[2][i];
      c[0][i] = uint32_t(b >> 32) ^ c[1][i] ^ k0;
      c[1][i] = uint32_t(b);
      c[2][i] = uint32_t(a >> 32) ^ c[3][i] ^ k1;
      c[3][i] = uint32_t(a);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

}  // namespace

void fill(int64_t n, float value, float* y) {
  each(n, [=](int64_t i) { y[i] = value; });
}

void add(int64_t n, const float* a, const float* b, float* y) {
  each(n, [=](int64_t i) { y[i] = a[i] + b[i]; });
}

void mul(int64_t n, const float* a, const float* b, float* y) {
  each(n, [=](int64_t i) { y[i] = a[i] * b[i]; });
}

void scale(int64_t n, float factor, const float* x, float* y) {
  each(n, [=](int64_t i) { y[i] = factor * x[i]; });
}

void add_columns(int64_t rows, int64_t c, const float* a, const float* b, float* y) {
  each_column(rows, c, [=](int64_t i, int64_t j) { y[i] = a[i] + b[j]; });
}

void mul_columns(int64_t rows, int64_t c, const float* a, const float* b, float* y) {
  each_column(rows, c, [=](int64_t i, int64_t j) { y[i] = a[i] * b[j]; });
}

void mul_images(int64_t images, int64_t pixels, int64_t c, const float* a, const float* b, float* y) {
  for (int64_t n = 0, size = pixels * c; n < images; ++n) {
    if (c == 1) scale(size, b[n], a + n * size, y + n * size);
    else mul_columns(pixels, c, a + n * size, b + n * c, y + n * size);
  }
}

void activate(Activation a, int64_t n, const float* x, float* y) {
  with_activation(a, [&]<class Op>(Op) { each(n, [=](int64_t i) { y[i] = Op::f(x[i]); }); });
}

void activate_backward(Activation a, int64_t n, const float* dy, const float* x, const float* y,
                       float* dx) {
  with_activation(a, [&]<class Op>(Op) {
    if constexpr (gradient_from_output(Op::kind))
      each(n, [=](int64_t i) { dx[i] = dy[i] * Op::df(0.0f, y ? y[i] : 0.0f); });
    else
      each(n, [=](int64_t i) { dx[i] = dy[i] * Op::df(x[i], 0.0f); });
  });
}

void dropout(const DropoutMask& mask, int64_t n, const float* x, float* y) {
  constexpr int64_t kStep = 4 * kLanes;
  // Drop where the word is below p 2^32. At p = 1 the one word that is not below gets factor 0.
  const auto threshold = uint32_t(std::min(std::ldexp(double(mask.p), 32), 4294967295.0));
  const float keep = mask.p < 1 ? 1.0f / (1.0f - mask.p) : 0.0f;
  parallel_for((n + kStep - 1) / kStep, kGrain / kStep, [&](int64_t begin, int64_t end) {
    Blocks blocks;
    for (int64_t step = begin; step < end; ++step) {
      philox_blocks(uint64_t(step) * kLanes, mask, blocks);
      int64_t at = step * kStep, count = std::min(kStep, n - at);
      const uint32_t* word = blocks.word[0];  // element i of the step takes word i
      for (int64_t i = 0; i < count; ++i) y[at + i] = word[i] < threshold ? 0.0f : x[at + i] * keep;
    }
  });
}

}  // namespace graft::cpu
