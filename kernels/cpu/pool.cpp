// Pooling window by window, 64 channels at a time, so that maximum and tap stay in registers. The
// gradients go over rows of the input, each of one thread alone. Measured on two cores, GB/s
// forward and backward: maximum of 3x3 48 and 26, mean of 2x2 57 and 52 (bench/RESULTS.md,
// Operations).
#include "kernels/pool.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/parallel.h"

namespace graft::cpu {
namespace {

constexpr int64_t kBlock = 64;  // channels at a time: running maximum and tap stay in registers

int64_t row_grain(const PoolProblem& p) { return 16384 / std::max<int64_t>(p.w.in * p.c, 1) + 1; }

// The maximum over one window for `count` <= kBlock channels from x (first channel of the image).
template <bool kTaps>
void max_of_window(const PoolProblem& p, const PoolWindow& rows, const PoolWindow& columns,
                   const float* x, int64_t count, float* y, uint8_t* tap) {
  float best[kBlock];
  int32_t at[kBlock];
  for (int64_t j = 0; j < count; ++j) {
    best[j] = -std::numeric_limits<float>::infinity();
    at[j] = int32_t((rows.begin - rows.origin) * p.w.window + columns.begin - columns.origin);
  }
  for (int64_t h = rows.begin; h < rows.end; ++h) {
    for (int64_t w = columns.begin; w < columns.end; ++w) {
      const float* from = x + (h * p.w.in + w) * p.c;
      const auto here = int32_t((h - rows.origin) * p.w.window + w - columns.origin);
#pragma omp simd
      for (int64_t j = 0; j < count; ++j) {
        float v = from[j];
        bool wins = (v > best[j]) | (v != v);
        best[j] = wins ? v : best[j];
        if (kTaps) at[j] = wins ? here : at[j];
      }
    }
  }
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) y[j] = best[j];
  if (kTaps) {
    for (int64_t j = 0; j < count; ++j) tap[j] = uint8_t(at[j]);
  }
}

template <bool kTaps>
void max_of_row(const PoolProblem& p, int64_t row, const float* x, float* y, uint8_t* tap) {
  const float* image = x + row / p.h.out * p.h.in * p.w.in * p.c;
  const PoolWindow rows = p.h.at(row % p.h.out);
  for (int64_t ow = 0; ow < p.w.out; ++ow) {
    const PoolWindow columns = p.w.at(ow);
    const int64_t to = (row * p.w.out + ow) * p.c;
    for (int64_t c = 0; c < p.c; c += kBlock) {
      int64_t count = std::min(kBlock, p.c - c);
      uint8_t* taps = kTaps ? tap + to + c : nullptr;
      if (count == kBlock)
        max_of_window<kTaps>(p, rows, columns, image + c, kBlock, y + to + c, taps);
      else
        max_of_window<kTaps>(p, rows, columns, image + c, count, y + to + c, taps);
    }
  }
}

// Calls body(i, window) for every output i of the axis whose window holds the input position.
template <class Body>
void each_window_over(const PoolAxis& axis, int64_t position, const Body& body) {
  int64_t first = 0;
  if (!axis.adaptive) {
    int64_t past = position + axis.before - axis.window;  // the last origin that is too early
    first = past < 0 ? 0 : past / axis.stride + 1;
  } else {
    first = position * axis.out / axis.in;
    while (first > 0 && axis.at(first - 1).end > position) --first;
  }
  for (int64_t i = first; i < axis.out; ++i) {
    PoolWindow window = axis.at(i);
    if (window.begin > position) break;
    if (window.end > position) body(i, window);
  }
}

// Runs body(image's first output row, input row h, dx of that row, zeroed) over all input rows:
// every thread owns whole rows of dx, so windows may overlap.
template <class Body>
void each_input_row(const PoolProblem& p, float* dx, const Body& body) {
  parallel_for(p.n * p.h.in, row_grain(p), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* to = dx + row * p.w.in * p.c;
      std::memset(to, 0, size_t(p.w.in * p.c) * sizeof(float));
      body(row / p.h.in * p.h.out, row % p.h.in, to);
    }
  });
}

}  // namespace

void max_pool(const PoolProblem& p, const float* x, float* y, uint8_t* tap) {
  parallel_for(p.n * p.h.out, row_grain(p), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      tap ? max_of_row<true>(p, row, x, y, tap) : max_of_row<false>(p, row, x, y, nullptr);
  });
}

void max_pool_backward(const PoolProblem& p, const float* dy, const uint8_t* tap, float* dx) {
  each_input_row(p, dx, [&](int64_t first, int64_t h, float* to) {
    each_window_over(p.h, h, [&](int64_t oh, const PoolWindow& rows) {
      for (int64_t ow = 0; ow < p.w.out; ++ow) {
        const PoolWindow columns = p.w.at(ow);
        const int64_t out = ((first + oh) * p.w.out + ow) * p.c;
        const float* g = dy + out;
        const uint8_t* winner = tap + out;
        for (int64_t w = columns.begin; w < columns.end; ++w) {
          const auto here = int32_t((h - rows.origin) * p.w.window + w - columns.origin);
          float* at = to + w * p.c;
#pragma omp simd
          for (int64_t j = 0; j < p.c; ++j) at[j] += int32_t(winner[j]) == here ? g[j] : 0.0f;
        }
      }
    });
  });
}

void avg_pool(const PoolProblem& p, const float* x, float* y) {
  parallel_for(p.n * p.h.out, row_grain(p), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* image = x + row / p.h.out * p.h.in * p.w.in * p.c;
      const PoolWindow rows = p.h.at(row % p.h.out);
      for (int64_t ow = 0; ow < p.w.out; ++ow) {
        const PoolWindow columns = p.w.at(ow);
        float* to = y + (row * p.w.out + ow) * p.c;
        std::memset(to, 0, size_t(p.c) * sizeof(float));
        for (int64_t h = rows.begin; h < rows.end; ++h) {
          for (int64_t w = columns.begin; w < columns.end; ++w) {
            const float* from = image + (h * p.w.in + w) * p.c;
#pragma omp simd
            for (int64_t j = 0; j < p.c; ++j) to[j] += from[j];
          }
        }
        const float factor = 1.0f / float(rows.divisor * columns.divisor);
#pragma omp simd
        for (int64_t j = 0; j < p.c; ++j) to[j] *= factor;
      }
    }
  });
}

void avg_pool_backward(const PoolProblem& p, const float* dy, float* dx) {
  each_input_row(p, dx, [&](int64_t first, int64_t h, float* to) {
    each_window_over(p.h, h, [&](int64_t oh, const PoolWindow& rows) {
      for (int64_t ow = 0; ow < p.w.out; ++ow) {
        const PoolWindow columns = p.w.at(ow);
        const float* g = dy + ((first + oh) * p.w.out + ow) * p.c;
        const float factor = 1.0f / float(rows.divisor * columns.divisor);
        for (int64_t w = columns.begin; w < columns.end; ++w) {
          float* at = to + w * p.c;
#pragma omp simd
          for (int64_t j = 0; j < p.c; ++j) at[j] += g[j] * factor;
        }
      }
    });
  });
}

}  // namespace graft::cpu
