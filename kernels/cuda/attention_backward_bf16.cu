// Attention's gradients in bf16; kernels, ideas and layouts are in attention_backward.cuh.
// Not yet run on a GPU.
#include "kernels/cuda/attention_backward.cuh"

namespace graft::cuda {

template void attention_backward(const AttentionProblem&, const bf16*, const bf16*,
                                 const AttentionGradients<bf16>&, Stream);

}  // namespace graft::cuda
