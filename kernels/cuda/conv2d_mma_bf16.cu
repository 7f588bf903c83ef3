// The tensor-core convolutions of bf16; kernel, idea and layout are in conv2d_mma.cuh.
// Not yet run on a GPU.
#include "kernels/cuda/conv2d_mma.cuh"

namespace graft::cuda {

template void launch_tensor_conv<__nv_bfloat16>(ConvPass, const ConvWork&, const GemmPlan&, bool, int, Stream);

}  // namespace graft::cuda
