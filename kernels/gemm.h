// Row-major matrix products: in f32 on the processor; in f32, tf32, bf16 and f16 on a CUDA device.
#pragma once
#include <cstdint>

#include "kernels/activation.h"
#include "kernels/dtype.h"
#include "kernels/moments.h"
#include "kernels/runtime.h"

namespace graft::cpu {

struct Rows {  // of a matrix that is part of a wider one
  const float* data;
  int64_t stride;  // floats from row to row
};

// c (m,n) = alpha op(a) (m,k) op(b) (k,n) + beta c; op transposes where asked, so that a transposed
// a is stored (k,m). c must not overlap a or b.
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha, Rows a,
          Rows b, float beta, float* c, int64_t c_stride);
void gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, float alpha,
          const float* a, const float* b, float beta, float* c);

}  // namespace graft::cpu

namespace graft::cuda {

enum class GemmMath {
  f32,   // of f32, every product and sum in f32
  tf32,  // of f32, factors rounded to 10 bits of mantissa, sums in f32: on tensor cores
  bf16,  // of bf16, sums in f32: on tensor cores, as all that follow
  f16,
};

enum class GemmVariant {
  automatic,  // the kernel that is expected to be the fastest
  mma,        // of those that every device has
  wgmma,      // Hopper's own, on the devices and for the operands that it can take: in bf16 and f16
};

// c (m,n) = activation(alpha op(a) (m,k) op(b) (k,n) + beta residual (m,n) + bias (n)).
// Rows are `stride` elements apart, and at most 2^31 - 1 in every dimension. No sum depends on
// anything but the shape and the device. residual may be c; c must not overlap anything else.
struct GemmProblem {
  GemmMath math = GemmMath::f32;
  bool transpose_a = false, transpose_b = false;  // then stored (k,m), (n,k)
  int64_t m = 0, n = 0, k = 0;
  const void *a = nullptr, *b = nullptr;          // (m,k), (k,n)
  int64_t a_stride = 0, b_stride = 0;
  void* c = nullptr;  // (m,n)
  int64_t c_stride = 0;
  DType c_type = DType::f32;  // also of the residual: f32, or the type of a and b

  float alpha = 1;
  const float* bias = nullptr;     // (n) or null
  const void* residual = nullptr;  // (m,n) or null
  int64_t residual_stride = 0;
  float beta = 0;
  Activation activation = Activation::none;
  ChannelMoments* moments = nullptr;  // of c as stored, (gemm_moment_tiles, n), or null
  GemmVariant variant = GemmVariant::automatic;
};

// Throws std::invalid_argument for a type or size that there is no kernel for.
void gemm(const GemmProblem& problem, Stream stream);

// Which rows of c a tile of the moments has; the same for every problem of this shape, types and
// alignment.
TileGrid gemm_moment_tiles(const GemmProblem& problem);

// As graft::cpu::gemm; pointers are to device memory.
void gemm(GemmMath math, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
          float alpha, const float* a, const float* b, float beta, float* c, Stream stream);

}  // namespace graft::cuda
