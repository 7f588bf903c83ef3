// Sums. Taken in chunks fixed by the size alone and added in order, in double: the same bits for
// any number of threads, and on a device every time.
#pragma once
#include <cstdint>

#include "kernels/runtime.h"

namespace graft::cpu {

double sum(int64_t n, const float* x);
double sum_of_squares(int64_t n, const float* x);  // for clipping by global norm
double dot(int64_t n, const float* a, const float* b);
void sum_rows(int64_t rows, int64_t c, const float* x, float* y);  // (rows, c) -> (c)
// y[j] = sum over the rows of a b, both (rows, c).
void dot_rows(int64_t rows, int64_t c, const float* a, const float* b, float* y);
// The same of every image: (images, pixels, c) -> y (images, c).
void dot_images(int64_t images, int64_t pixels, int64_t c, const float* a, const float* b, float* y);

}  // namespace graft::cpu

namespace graft::cuda {

// T: float, bf16 or f16. `result` is in device memory, as everything.
template <class T>
void sum(int64_t n, const T* x, double* result, Stream stream);
template <class T>
void sum_of_squares(int64_t n, const T* x, double* result, Stream stream);
template <class T>
void dot(int64_t n, const T* a, const T* b, double* result, Stream stream);
template <class T>
void sum_rows(int64_t rows, int64_t c, const T* x, float* y, Stream stream);
template <class T>
void dot_rows(int64_t rows, int64_t c, const T* a, const T* b, float* y, Stream stream);
// At most 65535 images.
template <class T>
void dot_images(int64_t images, int64_t pixels, int64_t c, const T* a, const T* b, float* y,
                Stream stream);

}  // namespace graft::cuda
