// Neighbouring elements of f32, bf16 or f16 in memory, and as floats in registers. A thread moves
// 16 bytes with one instruction where addresses allow it (kWidth elements), else element by element
// (kWidth = 1). And the kernel that does so for flat arrays (n), whatever f does with them:
//
//   elements   ·  ·  0  1 │ 2  3  4  5 │ 6  7  8  9 │ 10 11  ·  ·     kWidth 4, past 2: a
//   thread     0            1            2            3               stroke is 16 bytes' end
//
// Threads 0 and 3 do theirs element by element.
// Bytes moved: each array once. Not yet run on a GPU.
#pragma once
#include <initializer_list>
#include <type_traits>

#include "kernels/cuda/launch.cuh"
#include "kernels/dtype.h"

// Applies a macro to each type of activations; for explicit instantiations.
#define GRAFT_FOR_FLOATS(X) X(float) X(bf16) X(f16)

namespace graft::cuda {

constexpr int kBlock = 256;  // threads
template <class T>
constexpr int kPack = 16 / int(sizeof(T));  // elements that one instruction moves

__device__ inline float as_float(float x) { return x; }
__device__ inline float as_float(bf16 x) { return __uint_as_float(uint32_t(x.bits) << 16); }
__device__ inline float as_float(f16 x) { return __half2float(__ushort_as_half(x.bits)); }

template <class T>
__device__ inline T from_float(float x) {
  if constexpr (std::is_same_v<T, float>) {
    return x;
  } else {
    T result;
    if constexpr (std::is_same_v<T, bf16>)
      result.bits = __bfloat16_as_ushort(__float2bfloat16(x));
    else
      result.bits = __half_as_ushort(__float2half(x));
    return result;
  }
}

// The bits of an element, in the low part.
__device__ inline uint32_t bits_of(float x) { return __float_as_uint(x); }
__device__ inline uint32_t bits_of(bf16 x) { return x.bits; }
__device__ inline uint32_t bits_of(f16 x) { return x.bits; }
__device__ inline uint32_t bits_of(uint8_t x) { return x; }

template <class T>
__device__ inline T from_bits(uint32_t bits) {
  if constexpr (std::is_same_v<T, float>) {
    return __uint_as_float(bits);
  } else if constexpr (std::is_same_v<T, uint8_t>) {
    return uint8_t(bits);
  } else {
    T result;
    result.bits = uint16_t(bits);
    return result;
  }
}

// kWidth raw elements, in accesses of as many bytes as they have, at most 16; p is a multiple of
// that. Elements are put into words by shifts, which compilers keep in registers; and words are
// stored by __stwb, for of a plain store of a struct nvcc often makes one for each member.
template <int kWidth, class T>
__device__ inline void load_raw(T (&v)[kWidth], const T* p) {
  constexpr int kBytes = kWidth * int(sizeof(T)), kPerWord = 4 / int(sizeof(T));
  if constexpr (kWidth == 1) {
    v[0] = *p;
  } else {
    static_assert(kBytes == 4 || kBytes == 8 || kBytes % 16 == 0);
    uint32_t word[kBytes / 4];
    if constexpr (kBytes == 4) {
      word[0] = *reinterpret_cast<const uint32_t*>(p);
    } else if constexpr (kBytes == 8) {
      const uint2 two = *reinterpret_cast<const uint2*>(p);
      word[0] = two.x, word[1] = two.y;
    } else {
#pragma unroll
      for (int i = 0; i < kBytes / 16; ++i) {
        const uint4 four = reinterpret_cast<const uint4*>(p)[i];
        word[4 * i] = four.x, word[4 * i + 1] = four.y;
        word[4 * i + 2] = four.z, word[4 * i + 3] = four.w;
      }
    }
#pragma unroll
    for (int j = 0; j < kWidth; ++j)
      v[j] = from_bits<T>(word[j / kPerWord] >> (j % kPerWord * 8 * int(sizeof(T))));
  }
}

template <int kWidth, class T>
__device__ inline void store_raw(T* p, const T (&v)[kWidth]) {
  constexpr int kBytes = kWidth * int(sizeof(T)), kPerWord = 4 / int(sizeof(T));
  if constexpr (kWidth == 1) {
    *p = v[0];
  } else {
    static_assert(kBytes == 4 || kBytes == 8 || kBytes % 16 == 0);
    uint32_t word[kBytes / 4] = {};
#pragma unroll
    for (int j = 0; j < kWidth; ++j)
      word[j / kPerWord] |= bits_of(v[j]) << (j % kPerWord * 8 * int(sizeof(T)));
    if constexpr (kBytes == 4) {
      *reinterpret_cast<uint32_t*>(p) = word[0];
    } else if constexpr (kBytes == 8) {
      __stwb(reinterpret_cast<uint2*>(p), make_uint2(word[0], word[1]));
    } else {
#pragma unroll
      for (int i = 0; i < kBytes / 16; ++i)
        __stwb(reinterpret_cast<uint4*>(p) + i,
               make_uint4(word[4 * i], word[4 * i + 1], word[4 * i + 2], word[4 * i + 3]));
    }
  }
}

template <int kWidth, class T>
__device__ inline void load(float (&v)[kWidth], const T* p) {
  T raw[kWidth];
  load_raw(raw, p);
#pragma unroll
  for (int j = 0; j < kWidth; ++j) v[j] = as_float(raw[j]);
}

template <int kWidth, class T>
__device__ inline void store(T* p, const float (&v)[kWidth]) {
  T raw[kWidth];
#pragma unroll
  for (int j = 0; j < kWidth; ++j) raw[j] = from_float<T>(v[j]);
  store_raw(p, raw);
}

// Null is aligned.
inline bool aligned(std::initializer_list<const void*> pointers, uintptr_t bytes = 16) {
  for (const void* p : pointers)
    if (reinterpret_cast<uintptr_t>(p) % bytes) return false;
  return true;
}

// body(std::integral_constant<int, W>) with W = kWide or 1.
template <int kWide, class Body>
void with_width(bool vectors, const Body& body) {
  vectors ? body(std::integral_constant<int, kWide>{}) : body(std::integral_constant<int, 1>{});
}

inline unsigned blocks_for(int64_t threads) { return unsigned((threads + kBlock - 1) / kBlock); }

// How many elements before the arrays' first the last multiple of 16 bytes is, or -1 where that is
// not the same for all. Null takes no part.
template <class... T>
int64_t elements_past_boundary(const T*... arrays) {
  int64_t result = -2;
  auto look = [&](const void* p, size_t size) {
    if (!p) return;
    const auto past = int64_t(reinterpret_cast<uintptr_t>(p) % 16 / size);
    result = result == -2 || result == past ? past : -1;
  };
  (look(arrays, sizeof(T)), ...);
  return result == -2 ? 0 : result;
}

// f.run<W>(i) does the elements [i, i + W); element -past is where 16-byte accesses may begin.
template <int kWidth, class F>
__global__ void __launch_bounds__(kBlock) each_element(int64_t n, int past, const F f) {
  const int64_t i = (int64_t(blockIdx.x) * kBlock + threadIdx.x) * kWidth - past;
  if (i >= 0 && i + kWidth <= n)
    f.template run<kWidth>(i);
  else if constexpr (kWidth > 1)  // the ragged ends
#pragma unroll 1
    for (int64_t j = max(i, int64_t(0)); j < min(i + kWidth, n); ++j) f.template run<1>(j);
}

// `past` of elements_past_boundary().
template <int kWide, class F>
void for_each_element(int64_t n, int64_t past, const F& f, Stream stream) {
  if (n <= 0) return;
  with_width<kWide>(past >= 0, [&](auto width) {
    const int64_t skipped = width > 1 ? past : 0;
    const int64_t threads = (n + skipped + width - 1) / width;
    launch(each_element<width, F>, {dim3(blocks_for(threads)), dim3(kBlock), 0, stream}, n,
           int(skipped), f);
  });
}

}  // namespace graft::cuda
