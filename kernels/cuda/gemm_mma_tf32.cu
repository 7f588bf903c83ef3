// The tensor-core products of tf32, stored as f32; the kernel is in gemm_mma.cuh.
#include "kernels/cuda/gemm_mma.cuh"

namespace graft::cuda {

template void launch_tensor_gemm<float>(const GemmProblem&, const GemmPlan&, const GemmWork&, int,
                                        Stream);

}  // namespace graft::cuda
