// How conv2d.cu hands a convolution to its kernels, which are compiled apart from each other: as one
// ConvWork, a kernel's parameter, with everything that the host can work out once in place of every
// thread. Not yet run on a GPU.
#pragma once
#include <limits>

#include "kernels/cuda/conv2d_geometry.h"
#include "kernels/cuda/gemm_plan.h"
#include "kernels/norm.h"

namespace graft::cuda {

enum class ConvPass { fprop, dgrad, wgrad };

constexpr float kNoLimit = std::numeric_limits<float>::infinity();

struct InputNorm {  // what is convolved is made of x by a batch norm: see conv2d_norm.cuh
  NormProblem of;   // mean is null: x is taken as it is
  float low, high;  // the activation: values are kept between them
};

struct InputSums {  // dgrad leaves those of the gradient of such a norm's result:
                    // tile_gradients.cuh
  InputNorm norm;
  const void* x;  // (n, h, w, c), like the result, and of its type
  float* to;      // (tiles, 2, channels); null: not wanted
};

struct ConvWork {  // a kernel's parameter
  Conv2dProblem problem;
  const void *a, *b;  // fprop: x, w; dgrad: dy, w; wgrad: dy, x; with the shapes
                      // x (n, h, w, c), w (k, r, s, c / groups), dy (n, out_h, out_w, k)
  int size;           // bytes of their elements
  PixelGrid grid;     // fprop, wgrad: output pixels; dgrad: input pixels, of all phases
  Divider by_channels;  // of the gathered image, one group
  int parts;          // groups x phases
  int most_m, n;      // of a part
  void* out;          // fprop: y, like dy; dgrad: dx, like x; wgrad: dw, like w
  DType out_type;
  const float *scale, *bias;  // of fprop, (k) or null
  const void* residual;       // of fprop, like y and of its type, or null
  Activation activation;
  ChannelMoments* moments;  // of the result of fprop, (tiles, problem.k), or null
  bool vectors_out;  // of the result, residual, scale, bias, sums.x four elements at a time
  float* partial;    // (splits, parts, most_m, n) where depth is split, else null;
                     // of a depthwise wgrad (shares, c, r, s)
  int64_t part;      // length of depth in a split
  InputNorm norm;    // fprop and wgrad, on tensor cores in bf16 and f16, in whole chunks
  InputSums sums;    // dgrad
};

template <class T>  // __nv_bfloat16, __half, or float for tf32
void launch_tensor_conv(ConvPass pass, const ConvWork& work, const GemmPlan& plan, bool chunks,
                        int splits, Stream stream);
template <class T>  // __nv_bfloat16 or __half
void launch_wgmma_conv(ConvPass pass, const ConvWork& work, const GemmPlan& plan, int splits,
                       Stream stream);
void launch_simt_conv(ConvPass pass, const ConvWork& work, const GemmPlan& plan, int splits,
                      Stream stream);

// One filter for each channel: its kernels are their own.
bool is_depthwise(const Conv2dProblem& p);
constexpr int kDepthwiseNoteRows = 128;
void launch_depthwise(ConvPass pass, GemmMath math, const ConvWork& work, Stream stream);

ConvWork fprop_work(const Conv2dProblem& p, const void* x, const void* w, const ConvLastStep& last,
                    void* y, DType y_type);
ConvWork dgrad_work(const Conv2dProblem& p, const void* dy, const void* w, void* dx, DType dx_type);

// Where a pass runs by this plan: rows of the result that are a tile of what is noted of it, and
// how many tiles there are.
int64_t note_rows(ConvPass pass, GemmMath math, const ConvWork& work, const GemmPlan& plan);
int64_t note_tiles(ConvPass pass, GemmMath math, const ConvWork& work, const GemmPlan& plan);
int64_t note_tiles(ConvPass pass, GemmMath math, const ConvWork& work);  // by the one that is planned
TileGrid moment_tiles(GemmMath math, const ConvWork& work);              // of fprop, likewise

// Checks the problem and fills in what follows from it.
ConvWork conv_work(ConvPass pass, GemmMath math, ConvWork work);

// Whether both matrices are made of 16-byte chunks: of C of a group, and but for fprop of K.
bool in_chunks(ConvPass pass, GemmMath math, const ConvWork& work);

// Whether Hopper's kernels can run a pass, and its steps of depth there: conv2d_wgmma.cuh.
bool wgmma_takes(ConvPass pass, GemmMath math, const ConvWork& work);
constexpr int kWgmmaDepth = 64;  // of a step, in bf16 and f16
inline int wgmma_steps(ConvPass pass, const Conv2dProblem& p) {
  auto steps = [](int64_t depth) { return int((depth + kWgmmaDepth - 1) / kWgmmaDepth); };
  if (pass == ConvPass::wgrad) return steps(p.n * p.out_h() * p.out_w());
  return int(p.r * p.s) * steps(pass == ConvPass::fprop ? p.c : p.k);
}

GemmPlan plan_conv(ConvPass pass, GemmMath math, const ConvWork& work, const GemmDevice& device);
GemmPlan plan_conv(ConvPass pass, GemmMath math, const ConvWork& work);  // for this machine's

// Runs one pass by this plan, and by the one that is planned.
void conv2d(ConvPass pass, GemmMath math, ConvWork work, const GemmPlan& plan, Stream stream);
void conv2d(ConvPass pass, GemmMath math, const ConvWork& work, Stream stream);

}  // namespace graft::cuda
