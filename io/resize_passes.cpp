#include "io/resize_passes.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define GRAFT_AVX2 __attribute__((target("avx2")))
#endif

namespace graft {
namespace {

constexpr int precision = 22;  // bits of a weight
constexpr uint32_t half = 1u << (precision - 1);

uint8_t rounded(uint32_t sum) { return uint8_t(std::clamp(int32_t(sum) >> precision, 0, 255)); }

#ifdef GRAFT_AVX2
// 16-bit multiplies with exact results: a weight w is cut as w = high * 2^15 + low, and the sums of
// pixel * low and pixel * high are joined at the end (modulo 2^32, which the true sum fits).

GRAFT_AVX2 inline __m256i load32(const uint8_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

// Four weights -> pairs for vpmaddwd: lane 0 holds (w0, w1) four times, lane 1 (w2, w3).
struct Weights {
  __m256i low, high;
};

GRAFT_AVX2 inline Weights load_weights(const int32_t* weight) {
  __m128i w = _mm_loadu_si128(reinterpret_cast<const __m128i*>(weight));
  __m128i low = _mm_and_si128(w, _mm_set1_epi32(0x7fff));
  __m128i both = _mm_packs_epi32(low, _mm_srai_epi32(w, 15));
  __m256i wide = _mm256_castsi128_si256(both);
  return {_mm256_permutevar8x32_epi32(wide, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1)),
          _mm256_permutevar8x32_epi32(wide, _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3))};
}

// Joins the partial sums of one pixel: (r, g, b, 0) as 32-bit integers, scaled down.
GRAFT_AVX2 inline __m128i finish(__m256i low, __m256i high) {
  __m256i sum = _mm256_add_epi32(low, _mm256_slli_epi32(high, 15));
  __m128i pixel = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  return _mm_srai_epi32(_mm_add_epi32(pixel, _mm_set1_epi32(int(half))), precision);
}

GRAFT_AVX2 void column_pass_avx2(const ResizeTaps& taps, const uint8_t* const rows[4],
                                 uint8_t* const outs[4]) {
  // Four pixels, r g b each -> words r0 r1 g0 g1 b0 b1 0 0 | r2 r3 g2 g3 b2 b3 0 0.
  const __m256i spread =
      _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 6, -1, 9, -1, 7,
                       -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
  const size_t n = taps.first.size();
  for (size_t i = 0; i < n; ++i) {
    const int32_t* weight = &taps.weight[i * size_t(taps.stride)];
    const int64_t at = int64_t(taps.first[i] - taps.begin) * 3;
    __m256i low[4], high[4];
    for (int k = 0; k < 4; ++k) low[k] = high[k] = _mm256_setzero_si256();
    for (int t = 0; t < taps.count[i]; t += 4) {
      Weights w = load_weights(weight + t);
      for (int k = 0; k < 4; ++k) {
        auto* from = reinterpret_cast<const __m128i*>(rows[k] + at + t * 3);
        __m256i pixels = _mm256_broadcastsi128_si256(_mm_loadu_si128(from));
        pixels = _mm256_shuffle_epi8(pixels, spread);
        low[k] = _mm256_add_epi32(low[k], _mm256_madd_epi16(pixels, w.low));
        high[k] = _mm256_add_epi32(high[k], _mm256_madd_epi16(pixels, w.high));
      }
    }
    __m128i words01 = _mm_packs_epi32(finish(low[0], high[0]), finish(low[1], high[1]));
    __m128i words23 = _mm_packs_epi32(finish(low[2], high[2]), finish(low[3], high[3]));
    __m128i bytes = _mm_packus_epi16(words01, words23);
    alignas(16) uint8_t pixel[4][4];
    _mm_store_si128(reinterpret_cast<__m128i*>(pixel), bytes);
    for (int k = 0; k < 4; ++k) std::memcpy(outs[k] + i * 3, pixel[k], 4);  // 1 byte of slack
  }
}

GRAFT_AVX2 int row_pass_avx2(const uint8_t* rows, int64_t stride, int count, const int32_t* weight,
                             uint8_t* out, int bytes) {
  const __m256i zero = _mm256_setzero_si256();
  int x = 0;
  for (; x + 32 <= bytes; x += 32) {
    __m256i low[4], high[4];  // 8 results each
    for (int k = 0; k < 4; ++k) low[k] = high[k] = zero;
    for (int t = 0; t < count; t += 2) {
      const uint8_t* from = rows + t * stride + x;
      __m256i a = load32(from), b = t + 1 < count ? load32(from + stride) : zero;
      __m256i front = _mm256_unpacklo_epi8(a, b), back = _mm256_unpackhi_epi8(a, b);
      __m256i words[4] = {_mm256_unpacklo_epi8(front, zero), _mm256_unpackhi_epi8(front, zero),
                          _mm256_unpacklo_epi8(back, zero), _mm256_unpackhi_epi8(back, zero)};
      int second = t + 1 < count ? weight[t + 1] : 0;
      __m256i w_low = _mm256_set1_epi32((weight[t] & 0x7fff) | (second & 0x7fff) << 16);
      __m256i w_high = _mm256_set1_epi32(((weight[t] >> 15) & 0xffff) | (second >> 15) << 16);
      for (int k = 0; k < 4; ++k) {
        low[k] = _mm256_add_epi32(low[k], _mm256_madd_epi16(words[k], w_low));
        high[k] = _mm256_add_epi32(high[k], _mm256_madd_epi16(words[k], w_high));
      }
    }
    for (int k = 0; k < 4; ++k) {
      __m256i sum = _mm256_add_epi32(low[k], _mm256_slli_epi32(high[k], 15));
      low[k] = _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(int(half))), precision);
    }
    __m256i result =
        _mm256_packus_epi16(_mm256_packs_epi32(low[0], low[1]), _mm256_packs_epi32(low[2], low[3]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + x), result);
  }
  return x;
}

bool have_avx2() {
  static const bool have = __builtin_cpu_supports("avx2");
  return have;
}
#endif

}  // namespace

void column_pass_plain(const ResizeTaps& taps, const uint8_t* const rows[4],
                       uint8_t* const outs[4]) {
  for (int k = 0; k < 4; ++k) {
    for (size_t i = 0; i < taps.first.size(); ++i) {
      const uint8_t* from = rows[k] + int64_t(taps.first[i] - taps.begin) * 3;
      const int32_t* weight = &taps.weight[i * size_t(taps.stride)];
      uint32_t sum[3] = {half, half, half};
      for (int t = 0; t < taps.count[i]; ++t) {
        for (int c = 0; c < 3; ++c) sum[c] += uint32_t(from[t * 3 + c]) * uint32_t(weight[t]);
      }
      for (int c = 0; c < 3; ++c) outs[k][i * 3 + size_t(c)] = rounded(sum[c]);
    }
  }
}

void row_pass_plain(const uint8_t* rows, int64_t stride, int count, const int32_t* weight,
                    uint8_t* out, int from, int bytes) {
  for (int x = from; x < bytes; ++x) {
    uint32_t sum = half;
    for (int t = 0; t < count; ++t) sum += uint32_t(rows[t * stride + x]) * uint32_t(weight[t]);
    out[x] = rounded(sum);
  }
}

void column_pass(const ResizeTaps& taps, const uint8_t* const rows[4], uint8_t* const outs[4]) {
#ifdef GRAFT_AVX2
  if (have_avx2()) return column_pass_avx2(taps, rows, outs);
#endif
  column_pass_plain(taps, rows, outs);
}

void row_pass(const uint8_t* rows, int64_t stride, int count, const int32_t* weight, uint8_t* out,
              int bytes) {
  int done = 0;
#ifdef GRAFT_AVX2
  if (have_avx2()) done = row_pass_avx2(rows, stride, count, weight, out, bytes);
#endif
  row_pass_plain(rows, stride, count, weight, out, done, bytes);
}

}  // namespace graft
