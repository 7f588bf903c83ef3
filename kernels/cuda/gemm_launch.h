// How gemm.cu hands a product to the kernels of its kind, which are compiled apart from each other:
// as the problem and a GemmWork, which says what of it may move 16 bytes at a time and which part of
// k is a block's. Blocks: x counts tiles, z the parts of k. Not yet run on a GPU.
#pragma once
#include "kernels/cuda/gemm_plan.h"
#include "kernels/cuda/launch.cuh"

namespace graft::cuda {

struct GemmWork {             // a kernel's parameter besides the problem
  float* partial;             // (splits, m, n) where k is split, else null
  int64_t part;               // length of k in a split
  bool vectors_a, vectors_b;  // rows of a, of b can be copied 16 bytes at a time
  bool vectors_c;  // of c, residual, bias, partial four elements read or written at a time
};

template <class T>  // __nv_bfloat16, __half, or float for tf32
void launch_tensor_gemm(const GemmProblem& p, const GemmPlan& plan, const GemmWork& work,
                        int splits, Stream stream);
template <class T>  // __nv_bfloat16 or __half
void launch_wgmma_gemm(const GemmProblem& p, const GemmPlan& plan, const GemmWork& work, int splits,
                       Stream stream);
void launch_simt_gemm(const GemmProblem& p, const GemmPlan& plan, const GemmWork& work, int splits,
                      Stream stream);

inline Launch gemm_launch(const GemmProblem& p, const GemmTile& tile, int splits, size_t shared,
                          Stream stream) {
  const int rows = tile.m * tile.cluster;  // of the tiles of a cluster, one below the other
  const auto tiles = (p.m + rows - 1) / rows * tile.cluster * ((p.n + tile.n - 1) / tile.n);
  return {dim3(unsigned(tiles), 1, unsigned(splits)), dim3(unsigned(tile.threads())), shared,
          stream, unsigned(tile.cluster)};
}

}  // namespace graft::cuda
