// Attention's gradients in f32; kernels, ideas and layouts are in attention_backward.cuh.
// Not yet run on a GPU.
#include "kernels/cuda/attention_backward.cuh"

namespace graft::cuda {

template void attention_backward(const AttentionProblem&, const float*, const float*,
                                 const AttentionGradients<float>&, Stream);

}  // namespace graft::cuda
