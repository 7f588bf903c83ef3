// Hopper's products of f16; the kernel is in gemm_wgmma.cuh.
#include "kernels/cuda/gemm_wgmma.cuh"

namespace graft::cuda {

template void launch_wgmma_gemm<__half>(const GemmProblem&, const GemmPlan&, const GemmWork&, int,
                                        Stream);

}  // namespace graft::cuda
