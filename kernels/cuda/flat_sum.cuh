// One sum over a flat array, in two kernels: blocks of a number fixed by the size leave a partial
// sum each, and one block adds those and hands the total to what comes next. A thread adds what 16
// loads bring, kWidth elements each, in float, then goes on in double.
//
//   x (n) ──► a thread's double ──► tree in shared memory ──► partial (blocks) ──► tree ──► total
//
// The order follows from the size alone: the same bits every time. Bytes moved: x once, at most
// 8 kB of partial sums; the second kernel costs its launch. Not yet run on a GPU.
#pragma once
#include <algorithm>

#include "kernels/cuda/pack.cuh"

namespace graft::cuda {

constexpr int kMostPartials = 1024;

struct BlockDoubles {
  double value[kBlock];  // of a thread each
};

// The block's sum, in thread 0; in a tree, so in the same order every time.
__device__ inline double sum_of_block(BlockDoubles& shared, double value) {
  const int thread = int(threadIdx.x);
  shared.value[thread] = value;
  for (int half = kBlock / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread < half) shared.value[thread] += shared.value[thread + half];
  }
  return shared.value[0];
}

// f.add<W>(i, sum) adds the elements [i, i + W) to a float. -> partial (blocks)
template <int kWidth, class F>
__global__ void __launch_bounds__(kBlock) sum_flat(int64_t n, const F f, double* partial) {
  constexpr int kRun = 16;  // loads
  GRAFT_SHARED(BlockDoubles, shared);
  const int64_t step = int64_t(gridDim.x) * kBlock * kWidth;
  int64_t i = (int64_t(blockIdx.x) * kBlock + threadIdx.x) * kWidth;
  double total = 0;
  while (i < n) {
    float sum = 0;
    for (int run = 0; run < kRun && i < n; ++run, i += step) {
      if (i + kWidth <= n)
        f.template add<kWidth>(i, sum);
      else if constexpr (kWidth > 1)
        for (int64_t j = i; j < n; ++j) f.template add<1>(j, sum);
    }
    total += double(sum);
  }
  const double all = sum_of_block(shared, total);
  if (threadIdx.x == 0) partial[blockIdx.x] = all;
}

// partial (count) -> finish(total), by one thread.
template <class Finish>
__global__ void __launch_bounds__(kBlock)
    finish_flat(int count, const double* partial, const Finish finish) {
  GRAFT_SHARED(BlockDoubles, shared);
  double total = 0;
  for (int i = int(threadIdx.x); i < count; i += kBlock) total += partial[i];
  const double all = sum_of_block(shared, total);
  if (threadIdx.x == 0) finish(all);
}

template <int kWide, class F, class Finish>
void sum_elements(int64_t n, bool vectors, const F& f, const Finish& finish, Stream stream) {
  with_width<kWide>(vectors, [&](auto width) {
    const int64_t threads = (n + width - 1) / width;
    const auto blocks =
        unsigned(std::clamp<int64_t>((threads + 4 * kBlock - 1) / (4 * kBlock), 1, kMostPartials));
    Scratch partial(blocks * sizeof(double), stream);
    launch(sum_flat<width, F>, {dim3(blocks), dim3(kBlock), sizeof(BlockDoubles), stream}, n, f,
           partial.data<double>());
    launch(finish_flat<Finish>, {dim3(1), dim3(kBlock), sizeof(BlockDoubles), stream}, int(blocks),
           partial.data<double>(), finish);
  });
}

template <class T>
struct SquaresOf {
  const T* x;  // (n)

  template <int kWidth>
  __device__ void add(int64_t i, float& sum) const {
    float v[kWidth];
    load(v, x + i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) sum += v[j] * v[j];
  }
};

}  // namespace graft::cuda
