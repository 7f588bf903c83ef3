// Attention in bf16; kernel, idea and layout are in attention.cuh. Not yet run on a GPU.
#include "kernels/cuda/attention.cuh"

namespace graft::cuda {

template void attention(const AttentionProblem&, const bf16*, bf16*, Stream);

}  // namespace graft::cuda
