// 2-D convolution (cross-correlation) as three kernels: fprop, dgrad (gradient of the input) and
// wgrad (gradient of the weights). Activations NHWC, weights OHWI (KRSC), f32.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/activation.h"
#include "kernels/augment.h"
#include "kernels/gemm.h"
#include "kernels/host_device.h"
#include "kernels/moments.h"

namespace graft {

struct Conv2dProblem {
  int64_t n, h, w, c;          // input
  int64_t k, r, s;             // output channels, filter height and width
  int stride_h = 1, stride_w = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  int dilation_h = 1, dilation_w = 1;
  int groups = 1;

  GRAFT_HD int64_t out_h() const {
    return (h + pad_top + pad_bottom - dilation_h * (r - 1) - 1) / stride_h + 1;
  }
  GRAFT_HD int64_t out_w() const {
    return (w + pad_left + pad_right - dilation_w * (s - 1) - 1) / stride_w + 1;
  }
  double flops() const { return 2.0 * double(n * out_h() * out_w() * k) * double(r * s * c / groups); }
  auto operator<=>(const Conv2dProblem&) const = default;
};

struct ConvEpilogue {            // y = activation(scale conv + bias + residual)
  const float* scale = nullptr;     // (k)
  const float* bias = nullptr;      // (k)
  const float* residual = nullptr;  // like y, (n, out_h, out_w, k); may be y itself
  Activation activation = Activation::none;
};

// Weights in the order that fprop of one problem wants, kept from call to call for weights that
// stay as they are. Repacked when the kernel wants another order or the version differs.
// Small filters and Winograd's have the epilogue's scale multiplied in; large ones keep their values,
// so that the weights they were made from need not be kept as well.
struct PackedFilter {
  uint64_t version = 0;  // of the weights and the scale inside; set by the caller
  bool bf16 = false;     // set by the caller: factors may be rounded to bf16; sums stay in f32
  struct Impl;
  std::shared_ptr<const Impl> impl;
};

namespace cpu {

// x (n,h,w,c), w (k,r,s,c/groups), y (n,out_h,out_w,k).
// With `packed`, w is read only when conv2d_packed is false, and may be null otherwise.
bool conv2d_packed(const Conv2dProblem& p, const ConvEpilogue& e, const PackedFilter& packed,
                   uint64_t version);
void conv2d_fprop(const Conv2dProblem& p, const float* x, const float* w, const ConvEpilogue& e,
                  float* y, PackedFilter* packed = nullptr, uint64_t version = 0);
// Writes the weights that were packed, bit for bit, to (k,r,s,c/groups); empty when their values
// were changed (scaled, transformed) or nothing is packed.
std::function<void(void*)> unpacker(const PackedFilter& packed);
void conv2d_dgrad(const Conv2dProblem& p, const float* dy, const float* w, float* dx);
void conv2d_wgrad(const Conv2dProblem& p, const float* x, const float* dy, float* dw,
                  float* dbias /* or null */);

// Asks oneDNN, without running anything, which kernels it would take for the usual kinds of
// convolution: for reference_implementations().
void probe_conv2d();

// Names of oneDNN reference implementations picked so far, "fprop n32 h56 ...: ref:any". They are
// hundreds of times slower than the others; empty on a healthy machine.
std::vector<std::string> reference_implementations();

}  // namespace cpu

namespace cuda {

struct ConvLastStep {             // y = activation(scale conv + bias + residual)
  const float* scale = nullptr;   // (k)
  const float* bias = nullptr;    // (k)
  const void* residual = nullptr; // like y, and of its type; may be y itself
  Activation activation = Activation::none;
  ChannelMoments* moments = nullptr;  // of y as it is stored, (tiles, k); null: not wanted
};

// How y, a matrix (n out_h out_w, k), is divided into the tiles of ConvLastStep::moments.
TileGrid conv2d_moment_tiles(GemmMath math, const Conv2dProblem& p, const void* x, const void* w);

// As graft::cpu's, on device memory. x, w and dy are f32, or bf16 or f16 where `math` is; y and dx
// f32 or the same; dw f32. Tensors have less than 2^31 elements. Throws std::invalid_argument for
// others.
void conv2d_fprop(GemmMath math, const Conv2dProblem& p, const void* x, const void* w,
                  const ConvLastStep& last, void* y, DType y_type, Stream stream);
void conv2d_dgrad(GemmMath math, const Conv2dProblem& p, const void* dy, const void* w, void* dx,
                  DType dx_type, Stream stream);
void conv2d_wgrad(GemmMath math, const Conv2dProblem& p, const void* x, const void* dy, float* dw,
                  Stream stream);

// fprop of pixels x (n,h,w,3) u8 that are normalised first; the padding is zero after that. Throws
// std::invalid_argument for what it cannot do: it has c = 3, no groups, no dilation, and filters of
// which 64 and the pixels under them fit into a block's shared memory.
bool has_conv2d_first(GemmMath math, const Conv2dProblem& p);
TileGrid conv2d_first_moment_tiles(const Conv2dProblem& p);  // as conv2d_moment_tiles
void conv2d_first(GemmMath math, const Conv2dProblem& p, const uint8_t* x,
                  const Normalization& normalization, const void* w, const ConvLastStep& last,
                  void* y, DType y_type, Stream stream);
// wgrad of the same, dy (n,out_h,out_w,k) of math's type, dw (k,r,s,3) f32; of filters of which two
// tiles' pixels fit into shared memory.
bool has_conv2d_first_wgrad(GemmMath math, const Conv2dProblem& p);
void conv2d_first_wgrad(GemmMath math, const Conv2dProblem& p, const uint8_t* x,
                        const Normalization& normalization, const void* dy, float* dw,
                        Stream stream);

}  // namespace cuda
}  // namespace graft
