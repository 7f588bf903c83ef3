// The instructions of kernels/cuda/ptx.cuh, lane by lane, against the layouts that NVIDIA's PTX ISA
// states. The same test runs under cusim and on a GPU: where both pass, the emulated instructions
// and the hardware agree in every lane and register.
#include <gtest/gtest.h>

#include <bit>
#include <vector>

#include "kernels/cuda/box_tile.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/ptx.cuh"
#include "kernels/dtype.h"
#include "tests/cuda_array.h"

namespace graft::cuda {
namespace {

constexpr int kLanes = 32;

// ---- ldmatrix ---------------------------------------------------------------------------------

struct Matrices {
  uint16_t rows[32][8];  // four 8 x 8 matrices, one below the other
};

__global__ void load_matrices(const uint16_t* from, uint32_t* registers, bool transposed) {
  GRAFT_SHARED(Matrices, shared);
  for (int i = 0; i < 8; ++i) shared.rows[threadIdx.x][i] = from[threadIdx.x * 8 + i];
  __syncthreads();
  uint32_t r[4];
  if (transposed)
    ptx::ldmatrix_transposed(r, shared.rows[threadIdx.x]);
  else
    ptx::ldmatrix(r, shared.rows[threadIdx.x]);
  for (int i = 0; i < 4; ++i) registers[threadIdx.x * 4 + i] = r[i];
}

TEST(Ptx, Ldmatrix) {
  on_device([] {
    std::vector<uint16_t> elements(32 * 8);  // each its own number: matrix, row, column
    for (size_t i = 0; i < elements.size(); ++i) elements[i] = uint16_t(1000 + i);
    auto element = [&](int matrix, int row, int column) {
      return uint32_t(elements[size_t(matrix * 64 + row * 8 + column)]);
    };
    const Array<uint16_t> from(elements);
    for (bool transposed : {false, true}) {
      const Array<uint32_t> registers(kLanes * 4);
      launch(load_matrices, {dim3(1), dim3(kLanes), sizeof(Matrices), {}}, from.data(),
             registers.data(), transposed);
      const std::vector<uint32_t> got = registers.host();
      for (int lane = 0; lane < kLanes; ++lane)
        for (int i = 0; i < 4; ++i) {
          const int g = lane / 4, t = lane % 4;
          const uint32_t low = transposed ? element(i, 2 * t, g) : element(i, g, 2 * t);
          const uint32_t high = transposed ? element(i, 2 * t + 1, g) : element(i, g, 2 * t + 1);
          ASSERT_EQ(got[size_t(lane * 4 + i)], low | high << 16)
              << "lane " << lane << ", register " << i << ", transposed " << transposed;
        }
    }
  });
}

// ---- mma --------------------------------------------------------------------------------------

enum class Kind { bf16, f16, tf32 };

template <Kind kKind>
__global__ void multiply_fragments(const uint32_t* a, const uint32_t* b, float* c) {
  const int lane = int(threadIdx.x);
  uint32_t fragment[4];
  float sums[4];
  for (int i = 0; i < 4; ++i) fragment[i] = a[lane * 4 + i], sums[i] = c[lane * 4 + i];
  const uint32_t b0 = b[lane * 2], b1 = b[lane * 2 + 1];
  if constexpr (kKind == Kind::bf16)
    ptx::mma_m16n8k16<__nv_bfloat16>(sums, fragment, b0, b1);
  else if constexpr (kKind == Kind::f16)
    ptx::mma_m16n8k16<__half>(sums, fragment, b0, b1);
  else
    ptx::mma_m16n8k8_tf32(sums, fragment, b0, b1);
  for (int i = 0; i < 4; ++i) c[lane * 4 + i] = sums[i];
}

uint32_t bits_of(Kind kind, float value) {
  if (kind == Kind::bf16) return bf16(value).bits;
  if (kind == Kind::f16) return f16(value).bits;
  return std::bit_cast<uint32_t>(value);
}

struct Product {  // a (16,k) b (k,8) + c (16,8), small integers
  Kind kind;
  int k;
  std::vector<float> a, b, c;

  Product(Kind kind, int k) : kind(kind), k(k), a(size_t(16 * k)), b(size_t(k * 8)), c(16 * 8) {
    for (size_t i = 0; i < a.size(); ++i) a[i] = float(int(i * 7 % 13) - 6);
    for (size_t i = 0; i < b.size(); ++i) b[i] = float(int(i * 5 % 11) - 5);
    for (size_t i = 0; i < c.size(); ++i) c[i] = float(i);
  }
  float at(int row, int column) const {
    float sum = c[size_t(row * 8 + column)];
    for (int i = 0; i < k; ++i) sum += a[size_t(row * k + i)] * b[size_t(i * 8 + column)];
    return sum;
  }
  // One element (tf32) or two neighbours along k.
  uint32_t a_register(int row, int column) const {
    const auto* p = &a[size_t(row * k + column)];
    return kind == Kind::tf32 ? bits_of(kind, p[0])
                              : bits_of(kind, p[0]) | bits_of(kind, p[1]) << 16;
  }
  uint32_t b_register(int row, int column) const {
    const auto* p = &b[size_t(row * 8 + column)];
    return kind == Kind::tf32 ? bits_of(kind, p[0])
                              : bits_of(kind, p[0]) | bits_of(kind, p[8]) << 16;
  }
};

template <Kind kKind>
void run_product() {
  const Product p(kKind, kKind == Kind::tf32 ? 8 : 16);
  const int each = kKind == Kind::tf32 ? 1 : 2, half = p.k / 2;  // elements of a register
  std::vector<uint32_t> a, b;
  std::vector<float> c;
  for (int lane = 0; lane < kLanes; ++lane) {
    const int g = lane / 4, t = lane % 4 * each;
    for (int i = 0; i < 4; ++i) a.push_back(p.a_register(g + i % 2 * 8, t + i / 2 * half));
    for (int i = 0; i < 2; ++i) b.push_back(p.b_register(t + i * half, g));
    for (int i = 0; i < 4; ++i)
      c.push_back(p.c[size_t((g + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2)]);
  }
  const Array<uint32_t> device_a(a), device_b(b);
  const Array<float> device_c(c);
  launch(multiply_fragments<kKind>, {dim3(1), dim3(kLanes), 0, {}}, device_a.data(),
         device_b.data(), device_c.data());
  const std::vector<float> got = device_c.host();
  for (int lane = 0; lane < kLanes; ++lane)
    for (int i = 0; i < 4; ++i)
      ASSERT_EQ(got[size_t(lane * 4 + i)], p.at(lane / 4 + i / 2 * 8, lane % 4 * 2 + i % 2))
          << "lane " << lane << ", register " << i;
}

TEST(Ptx, MmaBf16) { on_device(run_product<Kind::bf16>); }
TEST(Ptx, MmaF16) { on_device(run_product<Kind::f16>); }
TEST(Ptx, MmaTf32) { on_device(run_product<Kind::tf32>); }

__global__ void round_words(const uint32_t* from, uint32_t* to) {
  to[threadIdx.x] = ptx::round_to_tf32(from[threadIdx.x]);
}

TEST(Ptx, RoundingToTf32) {  // to nearest, ties away from zero
  on_device([] {
    const uint32_t from[] = {0x3f800000, 0x3f800fff, 0x3f801000, 0x3f801001, 0x3f803000,
                             0xbf801000, 0x00000000, 0x80000000, 0x7f7fffff, 0x3f7ff000};
    const uint32_t rounded[] = {0x3f800000, 0x3f800000, 0x3f802000, 0x3f802000, 0x3f804000,
                                0xbf802000, 0x00000000, 0x80000000, 0x7f800000, 0x3f800000};
    const Array<uint32_t> device(std::vector<uint32_t>(std::begin(from), std::end(from)));
    const Array<uint32_t> result(std::size(from));
    launch(round_words, {dim3(1), dim3(unsigned(std::size(from))), 0, {}}, device.data(),
           result.data());
    const std::vector<uint32_t> got = result.host();
    for (size_t i = 0; i < got.size(); ++i)  // the 13 bits below are not defined
      EXPECT_EQ(got[i] & ~0x1fffu, rounded[i]) << std::hex << from[i];
  });
}

// ---- cp.async ---------------------------------------------------------------------------------

struct Copies {
  alignas(16) uint8_t bytes[kLanes * 16];
};

// Lane l copies kBytes of which l % (kBytes + 1) are there.
template <int kBytes>
__global__ void copy_through(const uint8_t* from, uint8_t* to) {
  GRAFT_SHARED(Copies, shared);
  const int lane = int(threadIdx.x);
  ptx::copy_async<kBytes>(shared.bytes + lane * 16, from + lane * 16, lane % (kBytes + 1));
  ptx::copy_async_commit();
  ptx::copy_async_wait<0>();
  __syncthreads();
  for (int i = 0; i < kBytes; ++i) to[lane * kBytes + i] = shared.bytes[lane * 16 + i];
}

template <int kBytes>
void run_copies() {
  std::vector<uint8_t> bytes(kLanes * 16);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = uint8_t(i * 3 % 251 + 1);
  const Array<uint8_t> from(bytes), to(kLanes * kBytes);
  launch(copy_through<kBytes>, {dim3(1), dim3(kLanes), sizeof(Copies), {}}, from.data(), to.data());
  const std::vector<uint8_t> got = to.host();
  for (int lane = 0; lane < kLanes; ++lane)
    for (int i = 0; i < kBytes; ++i)
      ASSERT_EQ(got[size_t(lane * kBytes + i)],
                i < lane % (kBytes + 1) ? bytes[size_t(lane * 16 + i)] : 0)
          << "lane " << lane << ", byte " << i << " of " << kBytes;
}

TEST(Ptx, CopiesFillWithZeros) {
  on_device([] {
    run_copies<4>();
    run_copies<8>();
    run_copies<16>();
  });
}

// ---- Hopper: box copies and mbarriers ---------------------------------------------------------

struct Box {
  alignas(1024) uint16_t elements[64 * 64];  // 64 rows of 128 bytes
  uint64_t barrier;
};

__device__ void init(uint64_t* barrier, int arrivals) {
  if (threadIdx.x == 0) {
    ptx::barrier_init(barrier, arrivals);
    ptx::barrier_init_fence();
  }
  __syncthreads();
}

// The same place twice: the barrier's second phase has the other parity.
__global__ void copy_box(const __grid_constant__ TensorMap map, int row, int column, uint16_t* to) {
  if constexpr (ptx::kHopper) {
    GRAFT_SHARED(Box, shared);
    init(&shared.barrier, 1);
    for (uint32_t phase : {0, 1}) {
      if (threadIdx.x == 0) {
        ptx::barrier_arrive_expect(&shared.barrier, int(sizeof shared.elements));
        ptx::copy_box_async(shared.elements, map, row + int(phase), column, &shared.barrier);
      }
      ptx::barrier_wait(&shared.barrier, phase);
      for (int i = int(threadIdx.x); i < 64 * 64; i += int(blockDim.x))
        to[int(phase) * 64 * 64 + i] = shared.elements[i];
      __syncthreads();
    }
  }
}

TEST(Ptx, BoxCopies) {
  on_hopper([] {
    constexpr int kRows = 70, kColumns = 100, kStride = 104;
    std::vector<uint16_t> elements(kRows * kStride, 0xffff);
    for (int r = 0; r < kRows; ++r)
      for (int c = 0; c < kColumns; ++c) elements[size_t(r * kStride + c)] = uint16_t(r * 128 + c);
    const Array<uint16_t> from(elements);
    const TensorMap map = encode(TensorBoxes{.type = DType::bf16,
                                             .data = from.data(),
                                             .rows = kRows,
                                             .columns = kColumns,
                                             .stride = kStride,
                                             .box_rows = 64});
    for (auto [row, column] : {std::pair{0, 0}, {10, 40}, {-3, -5}, {69, 99}, {-63, 8}, {200, 0}}) {
      const Array<uint16_t> to(2 * 64 * 64);
      launch(copy_box, {dim3(1), dim3(96), sizeof(Box), {}}, map, row, column, to.data());
      const std::vector<uint16_t> got = to.host();
      for (int i = 0; i < 2 * 64 * 64; ++i) {
        const int line = i / 64 % 64, chunk = i / 8 % 8 ^ line % 8;  // of the box
        const int r = row + line + i / 4096, c = column + chunk * 8 + i % 8;
        const bool inside = r >= 0 && r < kRows && c >= 0 && c < kColumns;
        ASSERT_EQ(got[size_t(i)], inside ? r * 128 + c : 0)
            << "element " << i << " of the box at " << row << ", " << column;
      }
    }
  });
}

// Pixels of images, as a 3 x 2 filter with stride 2, padding and dilation meets them.
__global__ void copy_pixels(const __grid_constant__ TensorMap map, const PixelBox from,
                            uint16_t* to) {
  if constexpr (ptx::kHopper) {
    GRAFT_SHARED(Box, shared);
    init(&shared.barrier, 1);
    if (threadIdx.x == 0) {
      ptx::barrier_arrive_expect(&shared.barrier, int(sizeof shared.elements));
      ptx::copy_pixels_async(shared.elements, map, from, &shared.barrier);
    }
    ptx::barrier_wait(&shared.barrier, 0);
    for (int i = int(threadIdx.x); i < 64 * 64; i += int(blockDim.x)) to[i] = shared.elements[i];
  }
}

TEST(Ptx, PixelCopies) {
  on_hopper([] {
    constexpr int kImages = 3, kHeight = 7, kWidth = 9, kChannels = 72;
    std::vector<uint16_t> elements(kImages * kHeight * kWidth * kChannels);
    for (size_t i = 0; i < elements.size(); ++i) elements[i] = uint16_t(1 + i);
    const Array<uint16_t> from(elements);
    const BoxSide h{.size = kHeight, .lower = -1, .stride = 2, .outputs = 3},
        w{.size = kWidth, .lower = -2, .stride = 1, .outputs = 10};
    const TensorMap map = encode(PixelBoxes{.type = DType::bf16, .data = from.data(), .images = kImages,
                                  .h = h, .w = w, .channels = kChannels, .box_pixels = 64});
    for (auto [image, i, j, channel, down, right] :
         {std::tuple(0, 0, 0, 0, 0, 0), {0, 0, 0, 64, 2, 3}, {1, 2, 9, 8, 4, 1}, {2, 1, 5, 0, 0, 3},
          {0, 2, 0, 72, 1, 1}}) {  // from output (i, j) of the image on; the last: no channels there
      const Array<uint16_t> to(64 * 64);
      const PixelBox box{image, h.lower + h.stride * i, w.lower + w.stride * j, channel, down, right};
      launch(copy_pixels, {dim3(1), dim3(96), sizeof(Box), {}}, map, box, to.data());
      const std::vector<uint16_t> got = to.host();
      for (int line = 0; line < 64; ++line) {
        const int output = (image * h.outputs + i) * w.outputs + j + line;
        const int n = output / (h.outputs * w.outputs);
        const int y = h.lower + output / w.outputs % h.outputs * h.stride + down;
        const int x = w.lower + output % w.outputs * w.stride + right;
        const bool inside = n < kImages && y >= 0 && y < kHeight && x >= 0 && x < kWidth;
        for (int k = 0; k < 64; ++k) {
          const int c = channel + k, at = ((n * kHeight + y) * kWidth + x) * kChannels + c;
          const int place = line * 64 + (k / 8 ^ line % 8) * 8 + k % 8;
          ASSERT_EQ(got[size_t(place)], inside && c < kChannels ? uint16_t(1 + at) : 0)
              << "row " << line << ", channel " << k << " of the box at " << image << " " << i;
        }
      }
    }
  });
}

// Two of three warps meet by name, twice; the third never does.
__global__ void meet_by_name(int* to) {
  GRAFT_SHARED(Box, shared);
  int* slots = reinterpret_cast<int*>(shared.elements);
  const int thread = int(threadIdx.x);
  if (thread >= 64) return;
  slots[thread] = thread;
  ptx::barrier_sync(1, 64);
  const int other = slots[63 - thread];
  ptx::barrier_sync(1, 64);
  slots[thread] = 100 + other;
  ptx::barrier_sync(2, 64);
  to[thread] = slots[63 - thread];
}

TEST(Ptx, BarriersOfSomeWarps) {
  on_device([] {
    const Array<int> to(64);
    launch(meet_by_name, {dim3(1), dim3(96), sizeof(Box), {}}, to.data());
    const std::vector<int> got = to.host();
    for (int i = 0; i < 64; ++i) ASSERT_EQ(got[size_t(i)], 100 + i);
  });
}

__global__ void count_arrivals(int* order) {  // (2): what thread 0 finds when it has waited
  if constexpr (ptx::kHopper) {
    GRAFT_SHARED(Box, shared);
    int* counter = reinterpret_cast<int*>(shared.elements);
    if (threadIdx.x == 0) *counter = 0;
    init(&shared.barrier, 64);
    ptx::barrier_wait(&shared.barrier, 1);  // a fresh barrier: passes
    __syncthreads();
    for (uint32_t phase : {0, 1}) {
      if (threadIdx.x >= 32) {
        atomicAdd(counter, 1);
        ptx::barrier_arrive(&shared.barrier);
      }
      ptx::barrier_wait(&shared.barrier, phase);
      __syncwarp();
      if (threadIdx.x == 0) order[phase] = atomicAdd(counter, 0);
      __syncthreads();
    }
  }
}

TEST(Ptx, Mbarriers) {
  on_hopper([] {
    const Array<int> order(2);
    launch(count_arrivals, {dim3(1), dim3(96), sizeof(Box), {}}, order.data());
    EXPECT_EQ(order.host(), (std::vector<int>{64, 128}));
  });
}

// ---- Hopper: clusters of two blocks -----------------------------------------------------------

__device__ void meet() {
  __syncwarp();
  ptx::cluster_arrive();
  ptx::cluster_wait();
}

// Each block brings half of a box to both.
__global__ void copy_to_both(const __grid_constant__ TensorMap map, uint16_t* to) {
  if constexpr (ptx::kHopper) {
    GRAFT_SHARED(Box, shared);
    const int rank = int(ptx::cluster_rank()), cluster = int(blockIdx.x) / 2;
    init(&shared.barrier, 1);
    meet();
    if (threadIdx.x == 0) {
      ptx::barrier_arrive_expect(&shared.barrier, int(sizeof shared.elements));
      ptx::copy_box_to_blocks(shared.elements + rank * 32 * 64, map, cluster * 64 + rank * 32, 0,
                              &shared.barrier, 3);
    }
    ptx::barrier_wait(&shared.barrier, 0);
    for (int i = int(threadIdx.x); i < 64 * 64; i += int(blockDim.x))
      to[int(blockIdx.x) * 64 * 64 + i] = shared.elements[i];
    meet();
  }
}

TEST(Ptx, BoxCopiesToBothBlocks) {
  on_hopper([] {
    std::vector<uint16_t> elements(128 * 64);
    for (size_t i = 0; i < elements.size(); ++i) elements[i] = uint16_t(i);
    const Array<uint16_t> from(elements), to(4 * 64 * 64);
    const TensorMap map = encode(TensorBoxes{.type = DType::bf16,
                                             .data = from.data(),
                                             .rows = 128,
                                             .columns = 64,
                                             .stride = 64,
                                             .box_rows = 32});
    launch(copy_to_both, {dim3(4), dim3(96), sizeof(Box), {}, 2}, map, to.data());
    const std::vector<uint16_t> got = to.host();
    for (int i = 0; i < 4 * 64 * 64; ++i) {
      const int block = i / 4096, line = i / 64 % 64, chunk = i / 8 % 8 ^ line % 8;
      ASSERT_EQ(got[size_t(i)], block / 2 * 4096 + line * 64 + chunk * 8 + i % 8)
          << "element " << i % 4096 << " of block " << block;
    }
  });
}

// At the barrier of each block arrive threads of the other, all of the first or one warp of the
// second, and when they are all there its own thread 0, which says so before. found (2, 2): how many
// threads heard it when they had waited, of each block in each phase.
__global__ void wait_for_visitors(int* found) {
  if constexpr (ptx::kHopper) {
    GRAFT_SHARED(Box, shared);
    int* said = reinterpret_cast<int*>(shared.elements);  // (2), of each phase
    const uint32_t rank = ptx::cluster_rank();
    const int visitors = rank == 1 ? int(blockDim.x) : 32;
    if (threadIdx.x < 2) said[threadIdx.x] = 0;
    init(&shared.barrier, visitors + 1);
    meet();
    for (uint32_t phase : {0, 1}) {
      if (rank == 0 || threadIdx.x < 32) ptx::barrier_arrive_in(&shared.barrier, rank ^ 1);
      meet();
      if (threadIdx.x == 0) {
        said[phase] = 1;
        ptx::barrier_arrive(&shared.barrier);
      }
      ptx::barrier_wait(&shared.barrier, phase);
      __syncwarp();
      atomicAdd(&found[2 * rank + phase], said[phase]);
      meet();
    }
  }
}

TEST(Ptx, ArrivalsInTheOtherBlock) {
  on_hopper([] {
    const Array<int> found(std::vector<int>(4));
    launch(wait_for_visitors, {dim3(2), dim3(96), sizeof(Box), {}, 2}, found.data());
    EXPECT_EQ(found.host(), (std::vector<int>{96, 96, 96, 96}));
  });
}

// ---- Hopper: wgmma ----------------------------------------------------------------------------

template <class T, int N, bool kDepthA, bool kDepthB>
struct WgmmaTiles {
  BoxTile<T, 64, kDepthA> a;
  BoxTile<T, N, kDepthB> b;
  uint64_t barrier;
};

// 16 of 64 along k: block number `block`. c (128, N / 2): the registers of each thread.
template <class T, int N, bool kDepthA, bool kDepthB>
__global__ void multiply_boxes(const __grid_constant__ TensorMap a,
                               const __grid_constant__ TensorMap b, int block, float* c) {
  if constexpr (ptx::kHopper) {
    using Tiles = WgmmaTiles<T, N, kDepthA, kDepthB>;
    GRAFT_SHARED(Tiles, shared);
    init(&shared.barrier, 1);
    if (threadIdx.x == 0) {
      ptx::barrier_arrive_expect(&shared.barrier, int(sizeof shared.a + sizeof shared.b));
      shared.a.load(a, 0, 0, &shared.barrier);
      shared.b.load(b, 0, 0, &shared.barrier);
    }
    ptx::barrier_wait(&shared.barrier, 0);
    float sums[N / 2];
#pragma unroll
    for (int i = 0; i < N / 2; ++i) sums[i] = c[threadIdx.x * (N / 2) + i];
    ptx::wgmma_fence(sums);
    ptx::wgmma_k16<T, !kDepthA, !kDepthB>(sums, shared.a.descriptor(0, block),
                                          shared.b.descriptor(0, block));
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>(sums);
#pragma unroll
    for (int i = 0; i < N / 2; ++i) c[threadIdx.x * (N / 2) + i] = sums[i];
  }
}

// a (64,64) b (64,N): small integers that differ from neighbour to neighbour
float a_at(int m, int k) { return float((m * 3 + k * 5) % 13 - 6); }
float b_at(int k, int n) { return float((n * 7 + k * 3) % 11 - 5); }

template <class T, int N, bool kDepthA, bool kDepthB>
void run_wgmma() {
  constexpr bool is_bf16 = std::is_same_v<T, __nv_bfloat16>;
  constexpr DType type = is_bf16 ? DType::bf16 : DType::f16;
  std::vector<uint16_t> a(64 * 64), b(64 * N);
  auto bits = [](float x) { return is_bf16 ? bf16(x).bits : f16(x).bits; };
  for (int k = 0; k < 64; ++k) {
    for (int m = 0; m < 64; ++m) a[size_t(kDepthA ? m * 64 + k : k * 64 + m)] = bits(a_at(m, k));
    for (int n = 0; n < N; ++n) b[size_t(kDepthB ? n * 64 + k : k * N + n)] = bits(b_at(k, n));
  }
  using Tiles = WgmmaTiles<T, N, kDepthA, kDepthB>;
  const Array<uint16_t> device_a(a), device_b(b);
  const auto map_a = decltype(Tiles::a)::map(type, device_a.data(), 64, 64, 64);
  const auto map_b = decltype(Tiles::b)::map(type, device_b.data(), N, 64, kDepthB ? 64 : N);
  std::vector<float> c(128 * N / 2);
  for (size_t i = 0; i < c.size(); ++i) c[i] = float(i % 1000);
  for (int block : {0, 3}) {
    const Array<float> device_c(c);
    launch(multiply_boxes<T, N, kDepthA, kDepthB>, {dim3(1), dim3(128), sizeof(Tiles), {}}, map_a,
           map_b, block, device_c.data());
    const std::vector<float> got = device_c.host();
    for (int i = 0; i < 128 * N / 2; ++i) {
      const int thread = i / (N / 2), e = i % (N / 2), lane = thread % 32;
      const int m = thread / 32 * 16 + lane / 4 + e / 2 % 2 * 8,
                n = e / 4 * 8 + lane % 4 * 2 + e % 2;
      float sum = c[size_t(i)];
      for (int k = 16 * block; k < 16 * block + 16; ++k) sum += a_at(m, k) * b_at(k, n);
      ASSERT_EQ(got[size_t(i)], sum) << "thread " << thread << ", register " << e << ", N " << N
                                     << ", depth-contiguous " << kDepthA << kDepthB;
    }
  }
}

template <class T, int N>
void run_wgmma_of_every_layout() {
  run_wgmma<T, N, true, true>();
  run_wgmma<T, N, true, false>();
  run_wgmma<T, N, false, true>();
  run_wgmma<T, N, false, false>();
}

TEST(Ptx, WgmmaBf16) {
  on_hopper([] {
    run_wgmma_of_every_layout<__nv_bfloat16, 128>();
    run_wgmma_of_every_layout<__nv_bfloat16, 256>();
  });
}
TEST(Ptx, WgmmaF16) {
  on_hopper([] {
    run_wgmma_of_every_layout<__half, 128>();
    run_wgmma_of_every_layout<__half, 256>();
  });
}

}  // namespace
}  // namespace graft::cuda
