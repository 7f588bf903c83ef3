// The instructions of kernels/cuda/ptx.cuh, lane by lane, against the layouts that NVIDIA's PTX ISA
// states. The same test runs under cusim and on a GPU: where both pass, the emulated instructions
// and the hardware agree in every lane and register.
#include <gtest/gtest.h>

#include <bit>
#include <vector>

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
    return kind == Kind::tf32 ? bits_of(kind, p[0]) : bits_of(kind, p[0]) | bits_of(kind, p[1]) << 16;
  }
  uint32_t b_register(int row, int column) const {
    const auto* p = &b[size_t(row * 8 + column)];
    return kind == Kind::tf32 ? bits_of(kind, p[0]) : bits_of(kind, p[0]) | bits_of(kind, p[8]) << 16;
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
    for (int i = 0; i < 4; ++i) c.push_back(p.c[size_t((g + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2)]);
  }
  const Array<uint32_t> device_a(a), device_b(b);
  const Array<float> device_c(c);
  launch(multiply_fragments<kKind>, {dim3(1), dim3(kLanes), 0, {}}, device_a.data(), device_b.data(),
         device_c.data());
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

}  // namespace
}  // namespace graft::cuda
