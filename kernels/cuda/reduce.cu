// Sums of flat arrays and over the rows of a matrix, each in two kernels and in a fixed order.
//
// Flat arrays: flat_sum.cuh; over rows: columns.cuh, which has the picture. Bytes moved: each input
// once, which is the limit, and at most 8 kB of partial sums, or 1025 rows of them; the second
// kernel costs its launch.
// Not yet run on a GPU.
#include "kernels/reduce.h"

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/flat_sum.cuh"

namespace graft::cuda {
namespace {

template <class T>
struct ElementsOf {
  const T* x;  // (n)

  template <int kWidth>
  __device__ void add(int64_t i, float& sum) const {
    float v[kWidth];
    load(v, x + i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) sum += v[j];
  }
};

template <class T>
struct ProductsOf {
  const T *a, *b;  // (n)

  template <int kWidth>
  __device__ void add(int64_t i, float& sum) const {
    float v[kWidth], w[kWidth];
    load(v, a + i);
    load(w, b + i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) sum += v[j] * w[j];
  }
};

struct Write {
  double* result;  // one
  __device__ void operator()(double total) const { *result = total; }
};

// x, or the products of x and other, of every column.
template <class T, bool kProducts>
struct RowSums {
  static constexpr int kSums = 1;
  const T *x, *other;  // (rows, c)

  template <int kWidth>
  struct Columns {
    const RowSums& f;
    __device__ Columns(const RowSums& f, int64_t) : f(f) {}

    __device__ void add(int64_t, int64_t i, float (&sum)[1][kWidth]) {
      float v[kWidth];
      load(v, f.x + i);
      if constexpr (kProducts) {
        float w[kWidth];
        load(w, f.other + i);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) v[j] *= w[j];
      }
#pragma unroll
      for (int j = 0; j < kWidth; ++j) sum[0][j] += v[j];
    }
  };
};

struct WriteColumn {
  float* y;  // (c)
  __device__ void operator()(int64_t channel, const double (&sum)[1]) const {
    y[channel] = float(sum[0]);
  }
};

}  // namespace

template <class T>
void sum(int64_t n, const T* x, double* result, Stream stream) {
  sum_elements<kPack<T>>(n, aligned({x}), ElementsOf<T>{x}, Write{result}, stream);
}

template <class T>
void sum_of_squares(int64_t n, const T* x, double* result, Stream stream) {
  sum_elements<kPack<T>>(n, aligned({x}), SquaresOf<T>{x}, Write{result}, stream);
}

template <class T>
void dot(int64_t n, const T* a, const T* b, double* result, Stream stream) {
  sum_elements<kPack<T>>(n, aligned({a, b}), ProductsOf<T>{a, b}, Write{result}, stream);
}

template <class T>
void sum_rows(int64_t rows, int64_t c, const T* x, float* y, Stream stream) {
  sum_over_rows<kPack<T>>(rows, c, aligned({x}), RowSums<T, false>{x, nullptr}, WriteColumn{y},
                          stream);
}

template <class T>
void dot_rows(int64_t rows, int64_t c, const T* a, const T* b, float* y, Stream stream) {
  sum_over_rows<kPack<T>>(rows, c, aligned({a, b}), RowSums<T, true>{a, b}, WriteColumn{y},
                          stream);
}

template <class T>
void dot_images(int64_t images, int64_t pixels, int64_t c, const T* a, const T* b, float* y,
                Stream stream) {
  sum_over_rows<kPack<T>>(pixels, c, aligned({a, b}), RowSums<T, true>{a, b}, WriteColumn{y},
                          stream, images);
}

#define GRAFT_REDUCE(T)                                                   \
  template void sum(int64_t, const T*, double*, Stream);                  \
  template void sum_of_squares(int64_t, const T*, double*, Stream);       \
  template void dot(int64_t, const T*, const T*, double*, Stream);        \
  template void sum_rows(int64_t, int64_t, const T*, float*, Stream);     \
  template void dot_rows(int64_t, int64_t, const T*, const T*, float*, Stream); \
  template void dot_images(int64_t, int64_t, int64_t, const T*, const T*, float*, Stream);
GRAFT_FOR_FLOATS(GRAFT_REDUCE)
#undef GRAFT_REDUCE

}  // namespace graft::cuda
