// Hopper's products of f16; kernel, idea and layout are in gemm_wgmma.cuh.
// Not yet run on a GPU.
#include "kernels/cuda/gemm_wgmma.cuh"

namespace graft::cuda {

template void launch_wgmma_gemm<__half>(const GemmProblem&, const GemmPlan&, const GemmWork&, int,
                                        Stream);

}  // namespace graft::cuda
