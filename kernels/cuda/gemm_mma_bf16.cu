// The tensor-core products of bf16; kernel, idea and layout are in gemm_mma.cuh.
// Not yet run on a GPU.
#include "kernels/cuda/gemm_mma.cuh"

namespace graft::cuda {

template void launch_tensor_gemm<__nv_bfloat16>(const GemmProblem&, const GemmPlan&,
                                                const GemmWork&, int, Stream);

}  // namespace graft::cuda
