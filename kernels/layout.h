// Moving values without changing them: the published weight layouts to ours and back, and blocks of
// rows between arrays of different widths (concatenation, padding).
#pragma once
#include <cstdint>

#include "kernels/runtime.h"

namespace graft {

// Rows of elements in `planes` groups; strides in elements.
struct Strided {
  int64_t plane, row;
};

}  // namespace graft

namespace graft::cpu {

// Convolution weights, out of place; i is channels per group.
void oihw_to_ohwi(int64_t o, int64_t i, int64_t h, int64_t w, const float* from, float* to);
void ohwi_to_oihw(int64_t o, int64_t i, int64_t h, int64_t w, const float* from, float* to);

// A linear weight (rows, c h w) whose columns index flattened (C,H,W), to flattened (H,W,C).
void chw_to_hwc_columns(int64_t rows, int64_t c, int64_t h, int64_t w, const float* from,
                        float* to);
void hwc_to_chw_columns(int64_t rows, int64_t c, int64_t h, int64_t w, const float* from,
                        float* to);

// `count` matrices (rows, columns) -> (columns, rows), out of place.
void transpose(int64_t count, int64_t rows, int64_t columns, const float* from, float* to);

// (planes, rows, width) from and to arrays with rows farther apart.
void copy_rows(int64_t planes, int64_t rows, int64_t width, const float* from, Strided from_stride,
               float* to, Strided to_stride);

}  // namespace graft::cpu

namespace graft::cuda {

// As above, in device memory; T is float, bf16 or f16.
template <class T>
void oihw_to_ohwi(int64_t o, int64_t i, int64_t h, int64_t w, const T* from, T* to, Stream stream);
template <class T>
void ohwi_to_oihw(int64_t o, int64_t i, int64_t h, int64_t w, const T* from, T* to, Stream stream);
template <class T>
void chw_to_hwc_columns(int64_t rows, int64_t c, int64_t h, int64_t w, const T* from, T* to,
                        Stream stream);
template <class T>
void hwc_to_chw_columns(int64_t rows, int64_t c, int64_t h, int64_t w, const T* from, T* to,
                        Stream stream);
template <class T>
void transpose(int64_t count, int64_t rows, int64_t columns, const T* from, T* to, Stream stream);

template <class T>
void copy_rows(int64_t planes, int64_t rows, int64_t width, const T* from, Strided from_stride,
               T* to, Strided to_stride, Stream stream);

}  // namespace graft::cuda
