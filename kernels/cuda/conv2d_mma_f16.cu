// The tensor-core convolutions of f16; the kernel is in conv2d_mma.cuh.
#include "kernels/cuda/conv2d_mma.cuh"

namespace graft::cuda {

template void launch_tensor_conv<__half>(ConvPass, const ConvWork&, const GemmPlan&, bool, int, Stream);

}  // namespace graft::cuda
