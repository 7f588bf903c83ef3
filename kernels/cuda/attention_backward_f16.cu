// Attention's gradients in f16; kernels, ideas and layouts are in attention_backward.cuh.
// Not yet run on a GPU.
#include "kernels/cuda/attention_backward.cuh"

namespace graft::cuda {

template void attention_backward(const AttentionProblem&, const f16*, const f16*,
                                 const AttentionGradients<f16>&, Stream);

}  // namespace graft::cuda
