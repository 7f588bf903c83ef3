// Convolutions of what a batch norm makes of x, act((x - mean) rstd gamma + beta). In fprop and
// wgrad x is normalised on its way into the kernels, and never written; the padding is zero after
// that. The results are those of batch_norm_forward and a convolution, bit for bit where mma runs
// both: wgmma, which reads memory as it is, adds in another order. dgrad begins what comes next, the
// norm's own backward pass.
#pragma once
#include "kernels/conv2d.h"
#include "kernels/norm.h"

namespace graft::cuda {

// On tensor cores in bf16 or f16, of channels in whole chunks of 16 bytes (of dy, too), with an
// activation that is a limit: none, ReLU, ReLU6.
bool has_norm_conv2d_fprop(GemmMath math, const Conv2dProblem& p, const NormProblem& norm,
                           const void* x, const void* w);
bool has_norm_conv2d_wgrad(GemmMath math, const Conv2dProblem& p, const NormProblem& norm,
                           const void* x, const void* dy);

// As conv2d_moment_tiles, for norm_conv2d_fprop.
TileGrid norm_conv2d_moment_tiles(GemmMath math, const Conv2dProblem& p, const NormProblem& norm,
                                  const void* x, const void* w);

// As conv2d_fprop and conv2d_wgrad. Throw std::invalid_argument for what they do not have.
void norm_conv2d_fprop(GemmMath math, const Conv2dProblem& p, const NormProblem& norm,
                       const void* x, const void* w, const ConvLastStep& last, void* y,
                       DType y_type, Stream stream);
void norm_conv2d_wgrad(GemmMath math, const Conv2dProblem& p, const NormProblem& norm,
                       const void* x, const void* dy, float* dw, Stream stream);

// As conv2d_dgrad, bit for bit, and leaves the sums of dx, as it is stored, for
// batch_norm_backward_by_sums: GradientSums::of, of so many tiles. In every type and geometry,
// behind an activation that is a limit. x is like dx, and of its type.
bool has_norm_conv2d_dgrad(const NormProblem& norm);
int64_t norm_conv2d_dgrad_tiles(GemmMath math, const Conv2dProblem& p, const void* dy,
                                const void* w);
void norm_conv2d_dgrad(GemmMath math, const Conv2dProblem& p, const NormProblem& norm,
                       const void* x, const void* dy, const void* w, void* dx, DType dx_type,
                       float* sums, Stream stream);

}  // namespace graft::cuda
