// cusim itself: what its parts compute, and that each kind of misuse is seen. Bugs that only some
// builds can see are planted by seeded.sh.
#include "tests/cusim/self.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/ptx.cuh"
#include "tests/cusim/orders.h"

namespace graft::cuda {
namespace {

__global__ void reverse_block(float* x) {
  GRAFT_SHARED(Floats, shared);
  shared.values[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = shared.values[blockDim.x - 1 - threadIdx.x];
}

TEST(Cusim, BarriersOrderSharedMemory) {
  cusim::in_every_order([] {
    std::vector<float> x(256);
    for (int i = 0; i < 256; ++i) x[i] = float(i);
    run_now(reverse_block, 1, 256, sizeof(Floats), x.data());
    for (int i = 0; i < 256; ++i) ASSERT_EQ(x[i], 255.f - float(i));
  });
}

__global__ void warp_functions(int* out) {  // (16, blockDim)
  const int l = int(threadIdx.x), n = int(blockDim.x);
  const unsigned all = 0xffffffffu;
  int row = 0;
  auto put = [&](int value) { out[row++ * n + l] = value; };
  put(__shfl_sync(all, l, 5));
  put(__shfl_sync(all, l, 3, 8));
  put(__shfl_xor_sync(all, l, 9));
  put(__shfl_down_sync(all, l, 4));
  put(__shfl_up_sync(all, l, 4));
  put(__shfl_up_sync(all, l, 2, 8));
  put(int(__ballot_sync(all, l % 3 == 0)));
  put(__any_sync(all, l == 7));
  put(__all_sync(all, l == 7));
  put(int(__match_any_sync(all, l % 4)));
  put(__reduce_add_sync(all, l));
  put(int(__reduce_max_sync(all, unsigned(l))));
  put(__reduce_min_sync(all, -l));
  if (l < 16)
    put(__shfl_down_sync(0xffffu, l, 1, 16));
  else
    put(__shfl_down_sync(0xffff0000u, l, 1, 16));
  put(__syncthreads_count(l % 5 == 0));
  put(__syncthreads_and(l >= 0) * 2 + __syncthreads_or(l == 31));
}

TEST(Cusim, WarpFunctions) {
  cusim::in_every_order([] {
    std::vector<int> out(16 * 32, -1);
    run_now(warp_functions, 1, 32, 0, out.data());
    for (int l = 0; l < 32; ++l) {
      const int expected[16] = {5,
                                l / 8 * 8 + 3,
                                l ^ 9,
                                l < 28 ? l + 4 : l,
                                l >= 4 ? l - 4 : l,
                                l % 8 >= 2 ? l - 2 : l,
                                0x49249249,
                                1,
                                0,
                                int(0x11111111u << l % 4),
                                496,
                                31,
                                -31,
                                l % 16 == 15 ? l : l + 1,
                                7,
                                3};
      for (int row = 0; row < 16; ++row) {
        EXPECT_EQ(out[row * 32 + l], expected[row]) << "row " << row << ", lane " << l;
      }
    }
  });
}

__global__ void histogram(const int* x, int n, unsigned* counts, float* total) {
  for (int i = int(blockIdx.x * blockDim.x + threadIdx.x); i < n;
       i += int(gridDim.x * blockDim.x)) {
    atomicAdd(counts + x[i] % 4, 1u);
    atomicAdd(total, float(x[i]));
    atomicMax(counts + 4, unsigned(x[i]));
  }
}

TEST(Cusim, AtomicsOfSeveralBlocks) {
  cusim::in_every_order([] {
    std::vector<int> x(1000);
    for (int i = 0; i < 1000; ++i) x[i] = i;
    std::vector<unsigned> counts(5);
    float total = 0;
    run_now(histogram, 3, 64, 0, x.data(), 1000, counts.data(), &total);
    EXPECT_EQ(counts, (std::vector<unsigned>{250, 250, 250, 250, 999}));
    EXPECT_EQ(total, 499500.f);
  });
}

// ---- tensor cores: every element of the product of two matrices of which one has a single 1

template <class T>
constexpr int kDepth = 16;
template <>
constexpr int kDepth<float> = 8;

template <class T>
__device__ uint32_t word(const T* x, int stride) {  // two elements, or one f32
  if constexpr (sizeof(T) == 4) return __float_as_uint(*x);
  uint16_t low, high;
  std::memcpy(&low, x, 2);
  std::memcpy(&high, x + stride, 2);
  return low | uint32_t(high) << 16;
}

template <class T>
__global__ void product(const T* a, const T* b, float* c) {  // (16,K) (K,8)
  constexpr int kPer = sizeof(T) == 4 ? 1 : 2, K = kDepth<T>;
  const int g = int(threadIdx.x) / 4, t = int(threadIdx.x) % 4 * kPer;
  uint32_t fragment[4], second[2];
  for (int r = 0; r < 4; ++r) fragment[r] = word(a + (g + r % 2 * 8) * K + t + r / 2 * 4 * kPer, 1);
  for (int r = 0; r < 2; ++r) second[r] = word(b + (t + r * 4 * kPer) * 8 + g, 8);
  float sum[4] = {};
  if constexpr (sizeof(T) == 4)
    ptx::mma_m16n8k8_tf32(sum, fragment, second[0], second[1]);
  else
    ptx::mma_m16n8k16<T>(sum, fragment, second[0], second[1]);
  for (int e = 0; e < 4; ++e) c[(g + e / 2 * 8) * 8 + int(threadIdx.x) % 4 * 2 + e % 2] = sum[e];
}

template <class T>
void check_product() {
  constexpr int K = kDepth<T>;
  std::vector<T> a(16 * K), b(K * 8);
  for (size_t i = 0; i < a.size(); ++i) a[i] = T(float(int(i * 7 % 11) - 5));
  for (size_t i = 0; i < b.size(); ++i) b[i] = T(float(int(i * 5 % 13) - 6));
  std::vector<float> c(16 * 8, NAN);
  run_now(product<T>, 1, 32, 0, a.data(), b.data(), c.data());
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 8; ++n) {
      float sum = 0;
      for (int k = 0; k < K; ++k) sum += float(a[m * K + k]) * float(b[k * 8 + n]);
      ASSERT_EQ(c[m * 8 + n], sum) << m << ", " << n;
    }
}

TEST(Cusim, TensorCoreProducts) {
  cusim::in_every_order([] {
    check_product<__nv_bfloat16>();
    check_product<__half>();
    check_product<float>();
  });
}

TEST(Cusim, RoundsToTf32) {
  auto rounded = [](float x) {
    return std::bit_cast<float>(cusim::round_to_tf32(std::bit_cast<uint32_t>(x)));
  };
  EXPECT_EQ(rounded(1.0f), 1.0f);
  EXPECT_EQ(rounded(1.0f + 0x1p-11f), 1.0f + 0x1p-10f);  // a tie goes away from zero
  EXPECT_EQ(rounded(-1.0f - 0x1p-12f), -1.0f);
  EXPECT_EQ(rounded(INFINITY), INFINITY);
}

struct Tile {
  uint16_t elements[32][8];
};

__global__ void load_tile(uint32_t* out) {  // (2, 32, 4)
  GRAFT_SHARED(Tile, tile);
  const unsigned l = threadIdx.x;
  for (unsigned i = 0; i < 8; ++i) tile.elements[l][i] = uint16_t(l * 8 + i);
  __syncwarp();
  uint32_t r[4];
  ptx::ldmatrix(r, tile.elements[l]);
  for (int i = 0; i < 4; ++i) out[l * 4 + i] = r[i];
  ptx::ldmatrix_transposed(r, tile.elements[l]);
  for (int i = 0; i < 4; ++i) out[128 + l * 4 + i] = r[i];
}

TEST(Cusim, MatrixLoads) {
  std::vector<uint32_t> out(256);
  run_now(load_tile, 1, 32, sizeof(Tile), out.data());
  for (uint32_t l = 0; l < 32; ++l)
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t g = l / 4, t = l % 4 * 2;
      const uint32_t straight = 64 * i + 8 * g + t, turned = 64 * i + 8 * t + g;
      EXPECT_EQ(out[l * 4 + i], straight | (straight + 1) << 16);
      EXPECT_EQ(out[128 + l * 4 + i], turned | (turned + 8) << 16);
    }
}

__global__ void copy_rows(const float* x, float* early, float* y, int valid) {
  GRAFT_SHARED(Floats, shared);
  float* mine = shared.values + 4 * threadIdx.x;
  ptx::copy_async<16>(mine, x + 4 * threadIdx.x, valid);
  ptx::copy_async_commit();
  early[threadIdx.x] = mine[0];
  ptx::copy_async_wait<0>();
  for (int i = 0; i < 4; ++i) y[4 * threadIdx.x + i] = mine[i];
}

TEST(Cusim, AsynchronousCopiesAreLateAndZeroFilled) {
  std::vector<float> early(8), y(32);
  alignas(16) float x[32];
  for (int i = 0; i < 32; ++i) x[i] = float(i + 1);
  run_now(copy_rows, 1, 8, sizeof(Floats), x, early.data(), y.data(), 12);
  for (int i = 0; i < 32; ++i) EXPECT_EQ(y[i], i % 4 < 3 ? float(i + 1) : 0.f);
  for (float e : early) EXPECT_TRUE(std::isnan(e));
}

__global__ void fresh_shared(float* x) {
  GRAFT_SHARED(Floats, shared);
  x[threadIdx.x] = shared.values[threadIdx.x];
}

TEST(Cusim, FreshSharedMemoryIsNaN) {
  std::vector<float> x(256);
  run_now(fresh_shared, 1, 256, sizeof(Floats), x.data());
  for (float v : x) ASSERT_TRUE(std::isnan(v));
}

}  // namespace
}  // namespace graft::cuda
