// Sums of arrays and over the rows of a matrix: in float over a block, in double over blocks, in
// chunks that follow from the size, so that no sum depends on the number of threads. Measured on
// two cores, the norm of ResNet-50's gradient: 42 GB/s (bench/RESULTS.md, Operations).
#include "kernels/reduce.h"

#include <vector>

#include "kernels/parallel.h"

namespace graft::cpu {
namespace {

constexpr int64_t kGrain = 32768;  // elements per chunk at least
constexpr int64_t kBlock = 4096;   // elements summed in float before double takes over

// In kLanes independent sums, for one sum waits for itself at every addition.
template <class F>
double sum_of_block(int64_t at, int64_t end, const F& f) {
  constexpr int64_t kLanes = 64;
  float lanes[kLanes] = {};
  for (; at + kLanes <= end; at += kLanes) {
#pragma omp simd
    for (int64_t i = 0; i < kLanes; ++i) lanes[i] += f(at + i);
  }
  double total = 0;
  for (; at < end; ++at) total += double(f(at));
  for (float lane : lanes) total += double(lane);
  return total;
}

template <class F>
double sum_of(int64_t n, const F& f) {
  const int64_t chunks = chunk_count(n, kGrain);
  std::vector<double> partial(size_t(chunks), 0.0);
  parallel_for(chunks, 1, [&](int64_t first, int64_t last) {
    for (int64_t chunk = first; chunk < last; ++chunk) {
      const int64_t end = n * (chunk + 1) / chunks;
      for (int64_t at = n * chunk / chunks; at < end; at += kBlock) {
        partial[size_t(chunk)] += sum_of_block(at, std::min(at + kBlock, end), f);
      }
    }
  });
  double total = 0;
  for (double p : partial) total += p;
  return total;
}

template <class F>
void rows_of(int64_t rows, int64_t c, float* y, const F& f) {
  constexpr int64_t kRows = 32;
  const int64_t chunks = chunk_count(rows, kGrain / std::max<int64_t>(c, 1) + 1);
  std::vector<double> partial(size_t(chunks * c), 0.0);
  parallel_for(chunks, 1, [&](int64_t first, int64_t last) {
    std::vector<float> block(static_cast<size_t>(c));
    for (int64_t chunk = first; chunk < last; ++chunk) {
      const int64_t end = rows * (chunk + 1) / chunks;
      double* sum = partial.data() + chunk * c;
      for (int64_t at = rows * chunk / chunks; at < end; at += kRows) {
        std::fill(block.begin(), block.end(), 0.0f);
        float* s = block.data();
        for (int64_t row = at; row < std::min(at + kRows, end); ++row) {
#pragma omp simd
          for (int64_t j = 0; j < c; ++j) s[j] += f(row * c + j);
        }
#pragma omp simd
        for (int64_t j = 0; j < c; ++j) sum[j] += double(s[j]);
      }
    }
  });
  for (int64_t j = 0; j < c; ++j) {
    double total = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) total += partial[size_t(chunk * c + j)];
    y[j] = float(total);
  }
}

}  // namespace

double sum(int64_t n, const float* x) {
  return sum_of(n, [=](int64_t i) { return x[i]; });
}

double sum_of_squares(int64_t n, const float* x) {
  return sum_of(n, [=](int64_t i) { return x[i] * x[i]; });
}

double dot(int64_t n, const float* a, const float* b) {
  return sum_of(n, [=](int64_t i) { return a[i] * b[i]; });
}

void sum_rows(int64_t rows, int64_t c, const float* x, float* y) {
  rows_of(rows, c, y, [=](int64_t i) { return x[i]; });
}

void dot_rows(int64_t rows, int64_t c, const float* a, const float* b, float* y) {
  rows_of(rows, c, y, [=](int64_t i) { return a[i] * b[i]; });
}

void dot_images(int64_t images, int64_t pixels, int64_t c, const float* a, const float* b, float* y) {
  for (int64_t n = 0, size = pixels * c; n < images; ++n)
    dot_rows(pixels, c, a + n * size, b + n * size, y + n * c);
}

}  // namespace graft::cpu
