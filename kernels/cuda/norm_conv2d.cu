// Convolutions of what a batch norm makes of x, and never writes: which there are, and their start.
// The kernels are those of conv2d.cu, told about the norm by ConvWork.
//
//   fprop   a: x ──► normalised in shared memory, b: w    conv2d_norm.cuh
//   wgrad   a: dy, b: x ──► normalised likewise           the same
//   dgrad   dx, and of it sums (tiles, 2, channels)       conv2d_notes.cuh, tile_gradients.cuh
//
// Bytes moved: those of the convolution; dgrad also reads x. Not yet run on a GPU.
#include "kernels/norm_conv2d.h"

#include <stdexcept>

#include "kernels/cuda/conv2d_launch.h"
#include "kernels/cuda/norm_columns.cuh"

namespace graft::cuda {
namespace {

InputNorm input_norm(const NormProblem& norm) {
  return {norm, norm.activation == Activation::none ? -kNoLimit : 0,
          norm.activation == Activation::relu6 ? 6 : kNoLimit};
}

bool is_limit(Activation a) {
  return a == Activation::none || a == Activation::relu || a == Activation::relu6;
}

bool has(ConvPass pass, GemmMath math, const NormProblem& norm, const ConvWork& c) {
  const bool sixteen_bits = math == GemmMath::bf16 || math == GemmMath::f16;
  return sixteen_bits && in_chunks(pass, math, c) && !is_depthwise(c.problem) &&
         is_limit(norm.activation) && aligned_channels(norm);
}

void run(ConvPass pass, GemmMath math, const NormProblem& norm, ConvWork c, Stream stream) {
  if (!has(pass, math, norm, c))
    throw std::invalid_argument("norm_conv2d: bf16 or f16, channels in chunks of 16 bytes, and no "
                                "other activation than ReLU and ReLU6");
  c.norm = input_norm(norm);
  conv2d(pass, math, c, stream);
}

}  // namespace

bool has_norm_conv2d_fprop(GemmMath math, const Conv2dProblem& p, const NormProblem& norm,
                           const void* x, const void* w) {
  return has(ConvPass::fprop, math, norm, {.problem = p, .a = x, .b = w});
}

bool has_norm_conv2d_wgrad(GemmMath math, const Conv2dProblem& p, const NormProblem& norm,
                           const void* x, const void* dy) {
  return has(ConvPass::wgrad, math, norm, {.problem = p, .a = dy, .b = x});
}

TileGrid norm_conv2d_moment_tiles(GemmMath math, const Conv2dProblem& p, const NormProblem& norm,
                                  const void* x, const void* w) {
  return moment_tiles(math, {.problem = p, .a = x, .b = w, .norm = input_norm(norm)});
}

void norm_conv2d_fprop(GemmMath math, const Conv2dProblem& p, const NormProblem& norm,
                       const void* x, const void* w, const ConvLastStep& last, void* y,
                       DType y_type, Stream stream) {
  run(ConvPass::fprop, math, norm, fprop_work(p, x, w, last, y, y_type), stream);
}

void norm_conv2d_wgrad(GemmMath math, const Conv2dProblem& p, const NormProblem& norm,
                       const void* x, const void* dy, float* dw, Stream stream) {
  run(ConvPass::wgrad, math, norm,
      {.problem = p, .a = dy, .b = x, .out = dw, .out_type = DType::f32}, stream);
}

bool has_norm_conv2d_dgrad(const NormProblem& norm) { return is_limit(norm.activation); }

int64_t norm_conv2d_dgrad_tiles(GemmMath math, const Conv2dProblem& p, const void* dy,
                                const void* w) {
  return note_tiles(ConvPass::dgrad, math, {.problem = p, .a = dy, .b = w});
}

void norm_conv2d_dgrad(GemmMath math, const Conv2dProblem& p, const NormProblem& norm,
                       const void* x, const void* dy, const void* w, void* dx, DType dx_type,
                       float* sums, Stream stream) {
  if (!has_norm_conv2d_dgrad(norm))
    throw std::invalid_argument("norm_conv2d: no other activation than ReLU and ReLU6");
  ConvWork c = dgrad_work(p, dy, w, dx, dx_type);
  c.sums = {input_norm(norm), x, sums};
  conv2d(ConvPass::dgrad, math, c, stream);
}

}  // namespace graft::cuda
