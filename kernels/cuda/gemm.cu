// Matrix products: what the host checks and plans, which kernel it starts, and the kernel that adds
// the parts of a split k.
//
// Where c has fewer tiles than the device has room for, k may be cut into parts, each summed by
// blocks of its own (gemm_plan.h). A part leaves its sums in f32; they are added here, in their
// order and without atomics, and only then come residual, bias and activation:
//
//   partial (splits, m, n) ──► a block's 32 x 32, a thread's four columns of a row ──► c (m, n)
//
// Bytes moved: partial once, c once, the residual once. Not yet run on a GPU.
#include <stdexcept>
#include <string>

#include "kernels/cuda/flag.cuh"
#include "kernels/cuda/gemm_block.cuh"

namespace graft::cuda {
namespace {

constexpr int kAddedRows = 32, kAddedColumns = 32, kAddedFours = kAddedColumns / 4;  // of a block
using AddedNotes = GemmNotes<kAddedColumns, kAddedRows>;

// partial (splits, m, n) -> c, the splits added in their order: the same bits every time.
__global__ void __launch_bounds__(kAddedRows* kAddedFours)
    gemm_add_splits(const GemmProblem p, const GemmWork work, int splits) {
  const int tiles_n = int((p.n + kAddedColumns - 1) / kAddedColumns);
  const int tile = int(blockIdx.x) / tiles_n, n = int(blockIdx.x) % tiles_n * kAddedColumns;
  const int64_t row = int64_t(tile) * kAddedRows + threadIdx.x / kAddedFours;
  const int64_t column = n + int64_t(threadIdx.x) % kAddedFours * 4;
  AddedNotes notes;
  if (row < p.m && column < p.n) {
    const int count = int(min(p.n - column, int64_t(4)));
    float v[4] = {};
    with_flag(work.vectors_c, [&](auto vectors) {
#pragma unroll 8  // reads under way together: with few columns there are few threads
      for (int split = 0; split < splits; ++split) {
        float next[4];
        load_some(next, work.partial, DType::f32, (split * p.m + row) * p.n + column, vectors, count);
#pragma unroll
        for (int j = 0; j < 4; ++j) v[j] += next[j];
      }
    });
    finish_four(p, work.vectors_c, row, column, count, v);
    if (p.moments) notes.add(p, v);
  }
  if (!p.moments) return;
  GRAFT_SHARED(typename AddedNotes::Parts, parts);
  notes.store(parts, p, tile, n);
}

void add_splits(const GemmProblem& p, const GemmWork& work, int splits, Stream stream) {
  const int64_t down = (p.m + kAddedRows - 1) / kAddedRows;
  const int64_t across = (p.n + kAddedColumns - 1) / kAddedColumns;
  launch(gemm_add_splits,
         {dim3(unsigned(down * across)), dim3(kAddedRows * kAddedFours),
          p.moments ? sizeof(typename AddedNotes::Parts) : 0, stream},
         p, work, splits);
}

DType factor_type(GemmMath math) {
  return math == GemmMath::bf16 ? DType::bf16 : math == GemmMath::f16 ? DType::f16 : DType::f32;
}

void check(const GemmProblem& p) {
  auto refuse = [](const std::string& what) { throw std::invalid_argument("gemm: " + what); };
  for (int64_t size : {p.m, p.n, p.k})
    if (size < 0 || size > INT32_MAX)
      refuse("a dimension of " + std::to_string(size) + "; at most 2^31 - 1");
  if (p.c_type != DType::f32 && p.c_type != factor_type(p.math))
    refuse(std::string("c is ") + name_of(p.c_type) + ", the factors are " +
           name_of(factor_type(p.math)));
  if (p.a_stride < (p.transpose_a ? p.m : p.k) || p.b_stride < (p.transpose_b ? p.k : p.n) ||
      p.c_stride < p.n || (p.residual && p.residual_stride < p.n))
    refuse("rows that overlap: a stride is less than its row");
}

bool aligned(const void* data, int64_t bytes) {
  return reinterpret_cast<uintptr_t>(data) % uintptr_t(bytes) == 0;
}

bool whole_fours(const GemmProblem& p) {
  const int64_t four = 4 * int64_t(size_of(p.c_type));
  return p.n % 4 == 0 && p.c_stride % 4 == 0 && aligned(p.c, four) &&
         (!p.residual || (p.residual_stride % 4 == 0 && aligned(p.residual, four))) &&
         aligned(p.bias, 16);
}

GemmSplit split_of(const GemmProblem& p, const GemmPlan& plan) {
  return split_k(p.k, tile_of(p, plan).step_bytes / element_size(p.math), plan.splits);
}

template <class T>
void launch_half(const GemmProblem& p, const GemmPlan& plan, const GemmWork& work, int splits,
                 Stream stream) {
  if (plan.wgmma)
    launch_wgmma_gemm<T>(p, plan, work, splits, stream);
  else
    launch_tensor_gemm<T>(p, plan, work, splits, stream);
}

}  // namespace

void gemm(const GemmProblem& p, const GemmPlan& plan, Stream stream) {
  check(p);
  if (plan.wgmma && (!wgmma_takes(p) || device_info().major != 9))
    throw std::invalid_argument("gemm: a plan for wgmma, and operands or a GPU that are not");
  if (p.m == 0 || p.n == 0) return;
  const GemmSplit split = split_of(p, plan);
  const bool splits = split.count > 1;
  Scratch partial(splits ? size_t(split.count * p.m * p.n) * sizeof(float) : 0, stream);
  const int size = element_size(p.math);
  const GemmWork work{.partial = partial.data<float>(),
                      .part = split.length,
                      .vectors_a = aligned(p.a, 16) && p.a_stride * size % 16 == 0,
                      .vectors_b = aligned(p.b, 16) && p.b_stride * size % 16 == 0,
                      .vectors_c = whole_fours(p)};
  switch (p.math) {
    case GemmMath::f32:
      launch_simt_gemm(p, plan, work, split.count, stream);
      break;
    case GemmMath::tf32:
      launch_tensor_gemm<float>(p, plan, work, split.count, stream);
      break;
    case GemmMath::bf16:
      launch_half<__nv_bfloat16>(p, plan, work, split.count, stream);
      break;
    case GemmMath::f16:
      launch_half<__half>(p, plan, work, split.count, stream);
      break;
  }
  if (splits) add_splits(p, work, split.count, stream);
}

GemmDevice gemm_device() { return {multiprocessors(), wgmma_works()}; }

void gemm(const GemmProblem& p, Stream stream) {
  check(p);  // before the device is asked
  gemm(p, plan_gemm(p, gemm_device()), stream);
}

int64_t note_rows(const GemmProblem& p, const GemmPlan& plan) {
  return split_of(p, plan).count > 1 ? kAddedRows : tile_of(p, plan).m;
}

TileGrid gemm_moment_tiles(const GemmProblem& p) {
  return rows_in_tiles(p.m, note_rows(p, plan_gemm(p, gemm_device())));
}

void gemm(GemmMath math, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
          float alpha, const float* a, const float* b, float beta, float* c, Stream stream) {
  if (math != GemmMath::f32 && math != GemmMath::tf32)
    throw std::invalid_argument("gemm: these matrices are f32");
  gemm({.math = math,
        .transpose_a = transpose_a,
        .transpose_b = transpose_b,
        .m = m,
        .n = n,
        .k = k,
        .a = a,
        .b = b,
        .a_stride = transpose_a ? m : k,
        .b_stride = transpose_b ? k : n,
        .c = c,
        .c_stride = n,
        .alpha = alpha,
        .residual = beta != 0 ? c : nullptr,
        .residual_stride = n,
        .beta = beta},
       stream);
}

}  // namespace graft::cuda
