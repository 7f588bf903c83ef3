// Neighbouring elements of f32, bf16 or f16 in memory, and as floats in registers. A thread moves
// 16 bytes with one instruction where addresses allow it (kWidth elements), else element by element
// (kWidth = 1). And how many threads of a kernel do that for a flat array.
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

template <int kBytes>
using Word = std::conditional_t<
    kBytes >= 16, uint4,
    std::conditional_t<kBytes == 8, uint2,
                       std::conditional_t<kBytes == 4, uint32_t,
                                          std::conditional_t<kBytes == 2, uint16_t, uint8_t>>>>;

// kWidth raw elements; p is a multiple of their size, or of 16 bytes where that is less.
template <int kWidth, class T>
struct Raw {
  static constexpr int kBytes = kWidth * int(sizeof(T)), kWords = (kBytes + 15) / 16;
  Word<kBytes> word[kWords];
};

template <int kWidth, class T>
__device__ inline void load_raw(T (&v)[kWidth], const T* p) {
  union {
    Raw<kWidth, T> raw;
    T element[kWidth];
  } both = {};
#pragma unroll
  for (int i = 0; i < Raw<kWidth, T>::kWords; ++i)
    both.raw.word[i] = reinterpret_cast<const Word<kWidth * int(sizeof(T))>*>(p)[i];
#pragma unroll
  for (int j = 0; j < kWidth; ++j) v[j] = both.element[j];
}

template <int kWidth, class T>
__device__ inline void store_raw(T* p, const T (&v)[kWidth]) {
  union {
    Raw<kWidth, T> raw;
    T element[kWidth];
  } both = {};
#pragma unroll
  for (int j = 0; j < kWidth; ++j) both.element[j] = v[j];
#pragma unroll
  for (int i = 0; i < Raw<kWidth, T>::kWords; ++i)
    reinterpret_cast<Word<kWidth * int(sizeof(T))>*>(p)[i] = both.raw.word[i];
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
