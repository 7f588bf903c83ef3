// Hopper's products of bf16; kernel, idea and layout are in gemm_wgmma.cuh.
// Not yet run on a GPU.
#include "kernels/cuda/gemm_wgmma.cuh"

namespace graft::cuda {

template void launch_wgmma_gemm<__nv_bfloat16>(const GemmProblem&, const GemmPlan&, const GemmWork&,
                                               int, Stream);

}  // namespace graft::cuda
