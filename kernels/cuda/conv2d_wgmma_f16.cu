// Hopper's convolutions of f16; kernel, idea and layout are in conv2d_wgmma.cuh.
// Not yet run on a GPU.
#include "kernels/cuda/conv2d_wgmma.cuh"

namespace graft::cuda {

template void launch_wgmma_conv<__half>(ConvPass, const ConvWork&, const GemmPlan&, int, Stream);

}  // namespace graft::cuda
