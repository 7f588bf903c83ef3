// The tensor-core products of tf32, stored as f32; kernel, idea and layout are in gemm_mma.cuh.
// Not yet run on a GPU.
#include "kernels/cuda/gemm_mma.cuh"

namespace graft::cuda {

template void launch_tensor_gemm<float>(const GemmProblem&, const GemmPlan&, const GemmWork&, int,
                                        Stream);

}  // namespace graft::cuda
