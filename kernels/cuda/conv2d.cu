// Convolutions: what the host checks and plans, which kernels it starts, and the kernel that adds
// the parts of a split depth.
//
// A pass is a matrix product for each group, in dgrad for each phase of the stride, too
// (conv2d_geometry.h); all of them are planned as one (gemm_plan.h), on the f32 units, with mma.sync
// or, on Hopper, with wgmma. Where depth is split, each split leaves its sums in f32, and they are
// added here, in their order: the same bits every time.
//
//   partial (splits, parts, most_m, n) ──► a block's 32 x 32, a thread's four columns ──► result
//
// Blocks: x counts tiles, y the parts. Bytes moved: partial once, the result once.
// Not yet run on a GPU.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "kernels/cuda/conv2d_block.cuh"
#include "kernels/cuda/flag.cuh"
#include "kernels/cuda/tensor_map.h"

namespace graft::cuda {
namespace {

constexpr int kAddedRows = 32, kAddedColumns = 32, kAddedFours = kAddedColumns / 4;  // of a block
template <ConvPass kPass>
using AddedNotes = ConvNotes<kPass, 4, kAddedColumns, kAddedRows>;

// partial (splits, parts, most_m, n) -> the result, the splits added in their order; four elements a
// thread.
template <ConvPass kPass>
__global__ void __launch_bounds__(kAddedRows* kAddedFours)
    conv2d_add_splits(const ConvWork c, int splits, int tiles_n) {
  const ConvPart<kPass> part(c, int(blockIdx.y));
  const TileOrigin at{int(blockIdx.x) / tiles_n * kAddedRows,
                      int(blockIdx.x) % tiles_n * kAddedColumns};
  const int row = at.m + int(threadIdx.x) / kAddedFours;
  const int column = at.n + int(threadIdx.x) % kAddedFours * 4, count = min(part.n - column, 4);
  AddedNotes<kPass> notes(c, part.out + column, count);
  const bool noted = notes.wanted(c);
  if (row < part.m && column < part.n) {
    float v[4] = {};
    with_flag(c.n % 4 == 0, [&](auto vectors) {
#pragma unroll 8  // reads under way together: with few columns there are few threads
      for (int split = 0; split < splits; ++split) {
        float next[4];
        load_some(next, c.partial, DType::f32,
                  partial_offset(c, split, int(blockIdx.y), row) + column, vectors, count);
#pragma unroll
        for (int j = 0; j < 4; ++j) v[j] += next[j];
      }
    });
    const int64_t to = finish_result(c, part, row, column, count, v);
    if (noted) notes.add(c, to, count, v);
  }
  if (!noted) return;
  GRAFT_SHARED(typename AddedNotes<kPass>::Parts, parts);
  notes.store(parts, c, noted_tile<kAddedRows>(c, part, at));
}

template <ConvPass kPass>
void add_splits_of(const ConvWork& c, int splits, Stream stream) {
  using Notes = AddedNotes<kPass>;
  const int tiles_m = (c.most_m + kAddedRows - 1) / kAddedRows;
  const int tiles_n = (c.n + kAddedColumns - 1) / kAddedColumns;
  launch(conv2d_add_splits<kPass>,
         {dim3(unsigned(tiles_m * tiles_n), unsigned(c.parts)), dim3(kAddedRows * kAddedFours),
          Notes::wanted(c) ? sizeof(typename Notes::Parts) : 0, stream},
         c, splits, tiles_n);
}

void add_splits(ConvPass pass, const ConvWork& c, int splits, Stream stream) {
  switch (pass) {
    case ConvPass::fprop:
      return add_splits_of<ConvPass::fprop>(c, splits, stream);
    case ConvPass::dgrad:
      return add_splits_of<ConvPass::dgrad>(c, splits, stream);
    case ConvPass::wgrad:
      return add_splits_of<ConvPass::wgrad>(c, splits, stream);
  }
}

DType factor_type(GemmMath math) {
  return math == GemmMath::bf16 ? DType::bf16 : math == GemmMath::f16 ? DType::f16 : DType::f32;
}

void check(GemmMath math, const Conv2dProblem& p, DType out) {
  auto refuse = [](const std::string& what) { throw std::invalid_argument("conv2d: " + what); };
  const bool fits = p.groups > 0 && p.c % p.groups == 0 && p.k % p.groups == 0;
  if (!fits)
    refuse(std::to_string(p.c) + " -> " + std::to_string(p.k) + " channels in " +
           std::to_string(p.groups) + " groups");
  for (double size : {double(p.n) * double(p.h) * double(p.w) * double(p.c),
                      double(p.n) * double(p.out_h()) * double(p.out_w()) * double(p.k),
                      double(p.k) * double(p.r) * double(p.s) * double(p.c)})
    if (size > INT32_MAX) refuse("a tensor of 2^31 elements or more");
  if (out != DType::f32 && out != factor_type(math))
    refuse(std::string("the result is ") + name_of(out) + ", the factors are " +
           name_of(factor_type(math)));
}

bool aligned(const void* data, size_t bytes) { return reinterpret_cast<uintptr_t>(data) % bytes == 0; }

// The largest part. The planner is asked about a product with the rows of all parts.
struct Sizes {
  int64_t m, n, depth;
};

Sizes sizes_of(ConvPass pass, const Conv2dProblem& p) {
  const int64_t taps = p.r * p.s, channels = p.c / p.groups, filters = p.k / p.groups;
  const int64_t out = p.n * p.out_h() * p.out_w();
  if (pass == ConvPass::fprop) return {out, filters, taps * channels};
  if (pass == ConvPass::wgrad) return {filters, taps * channels, out};
  auto most_taps = [](int stride, int pad, int dilation, int64_t taps) {
    int most = 0;
    for (int phase = 0; phase < stride; ++phase)
      most = std::max(most, backward_side(1, stride, pad, dilation, int(taps), phase).taps);
    return int64_t(most);
  };
  return {p.n * phase_size(int(p.h), p.stride_h, 0) * phase_size(int(p.w), p.stride_w, 0), channels,
          most_taps(p.stride_h, p.pad_top, p.dilation_h, p.r) *
              most_taps(p.stride_w, p.pad_left, p.dilation_w, p.s) * filters};
}

int parts_of(ConvPass pass, const Conv2dProblem& p) {
  return p.groups * (pass == ConvPass::dgrad ? p.stride_h * p.stride_w : 1);
}

// What the blocks of a pass have to do by a plan.
struct Shares {
  bool chunks;
  const GemmTile& tile;
  GemmSplit split;

  Shares(ConvPass pass, GemmMath math, const ConvWork& c, const GemmPlan& plan)
      : chunks(in_chunks(pass, math, c)),
        tile(plan.wgmma               ? kWgmmaTiles[plan.tile]
             : !on_tensor_cores(math) ? kSimtTiles[plan.tile]
                                      : kTensorTiles[chunks ? plan.tile : kNarrowTile]),
        split(split_k(depth_of(pass, c, plan), tile.step_bytes / element_size(math), plan.splits)) {
  }

 private:
  static int64_t depth_of(ConvPass pass, const ConvWork& c, const GemmPlan& plan) {
    return plan.wgmma ? int64_t(wgmma_steps(pass, c.problem)) * kWgmmaDepth : sizes_of(pass, c.problem).depth;
  }
};

template <class T>
void launch_half(ConvPass pass, const ConvWork& c, const GemmPlan& plan, const Shares& shares,
                 Stream stream) {
  if (plan.wgmma)
    launch_wgmma_conv<T>(pass, c, plan, shares.split.count, stream);
  else
    launch_tensor_conv<T>(pass, c, plan, shares.chunks, shares.split.count, stream);
}

// Along one side, whether the copy engine can gather a pass's image; its outputs are `outputs`.
bool can_gather(const Side& side, int outputs) {
  const BoxSide boxes{side.size, side.lowest(), side.scale, outputs};
  return outputs > 0 && boxes.encodable() && side.offset(0) <= kMostOffset &&
         side.offset(side.taps - 1) <= kMostOffset;
}

bool can_gather(ConvPass pass, const Conv2dProblem& p) {
  if (pass != ConvPass::dgrad)
    return can_gather(forward_side(int(p.h), p.stride_h, p.pad_top, p.dilation_h, int(p.r)),
                      int(p.out_h())) &&
           can_gather(forward_side(int(p.w), p.stride_w, p.pad_left, p.dilation_w, int(p.s)),
                      int(p.out_w()));
  return can_gather(backward_side(int(p.out_h()), 1, p.pad_top, p.dilation_h, int(p.r), 0), int(p.h)) &&
         can_gather(backward_side(int(p.out_w()), 1, p.pad_left, p.dilation_w, int(p.s), 0), int(p.w));
}

}  // namespace

bool in_chunks(ConvPass pass, GemmMath math, const ConvWork& c) {
  const Conv2dProblem& p = c.problem;
  const int64_t per_chunk = 16 / element_size(math);
  const bool channels = p.c / p.groups % per_chunk == 0, filters = p.k / p.groups % per_chunk == 0;
  return aligned(c.a, 16) && aligned(c.b, 16) && channels && (pass == ConvPass::fprop || filters);
}

bool wgmma_takes(ConvPass pass, GemmMath math, const ConvWork& c) {
  const Conv2dProblem& p = c.problem;
  const bool whole_taps = pass != ConvPass::wgrad || p.c % kWgmmaDepth == 0;
  const bool one_phase = pass != ConvPass::dgrad || (p.stride_h == 1 && p.stride_w == 1);
  return element_size(math) == 2 && p.groups == 1 && whole_taps && one_phase && !c.norm.of.mean &&
         in_chunks(pass, math, c) && p.n > 0 && can_gather(pass, p);
}

GemmPlan plan_conv(ConvPass pass, GemmMath math, const ConvWork& c, const GemmDevice& device) {
  const Sizes size = sizes_of(pass, c.problem);
  const bool chunks = in_chunks(pass, math, c);
  GemmProblem p{
      .math = math, .m = size.m * parts_of(pass, c.problem), .n = size.n, .k = size.depth};
  const int64_t step = chunks || !on_tensor_cores(math) ? 16 : 1;
  p.a_stride = p.b_stride = step;  // all that the planner asks of them: can chunks be copied
  p.variant = wgmma_takes(pass, math, c) ? GemmVariant::automatic : GemmVariant::mma;
  return plan_gemm(p, device);
}

GemmPlan plan_conv(ConvPass pass, GemmMath math, const ConvWork& c) {
  return plan_conv(pass, math, c, gemm_device());
}

int64_t note_rows(ConvPass pass, GemmMath math, const ConvWork& c, const GemmPlan& plan) {
  if (is_depthwise(c.problem)) return kDepthwiseNoteRows;
  const Shares shares(pass, math, c, plan);
  return shares.split.count > 1 ? kAddedRows : shares.tile.m;
}

int64_t note_tiles(ConvPass pass, GemmMath math, const ConvWork& c, const GemmPlan& plan) {
  const Conv2dProblem& p = c.problem;
  const int64_t rows = note_rows(pass, math, c, plan);
  if (pass == ConvPass::dgrad && is_depthwise(p))
    return rows_in_tiles(p.n * p.h * p.w, rows).count();
  return parts_of(pass, p) / p.groups * rows_in_tiles(sizes_of(pass, p).m, rows).count();
}

ConvWork conv_work(ConvPass pass, GemmMath math, ConvWork c) {
  const Conv2dProblem& p = c.problem;
  check(math, p, c.out_type);
  const Sizes size = sizes_of(pass, p);
  const bool dgrad = pass == ConvPass::dgrad;
  c.size = element_size(math);
  c.grid = dgrad ? PixelGrid(p.n, p.h, p.w) : PixelGrid(p.n, p.out_h(), p.out_w());
  c.by_channels = Divider(dgrad ? p.k / p.groups : p.c / p.groups);
  c.parts = parts_of(pass, p);
  c.most_m = int(size.m);
  c.n = int(size.n);
  const size_t four = 4 * size_of(c.out_type);
  c.vectors_out = c.n % 4 == 0 && aligned(c.out, four) && aligned(c.residual, four) &&
                  aligned(c.sums.x, four) && aligned(c.scale, 16) && aligned(c.bias, 16);
  return c;
}

void conv2d(ConvPass pass, GemmMath math, ConvWork c, const GemmPlan& plan, Stream stream) {
  c = conv_work(pass, math, c);
  const Conv2dProblem& p = c.problem;
  const Sizes size = sizes_of(pass, p);
  if (size.m == 0 || size.n == 0) return;
  if (is_depthwise(p)) return launch_depthwise(pass, math, c, stream);
  if (plan.wgmma && (!wgmma_takes(pass, math, c) || device_info().major != 9))
    throw std::invalid_argument("conv2d: a plan for wgmma, and a problem or a GPU that is not");
  const Shares shares(pass, math, c, plan);
  const GemmSplit& split = shares.split;
  const bool splits = split.count > 1;
  Scratch partial(splits ? size_t(split.count) * size_t(c.parts) * size_t(size.m * size.n) * 4 : 0,
                  stream);
  c.partial = partial.data<float>();
  c.part = split.length;
  switch (math) {
    case GemmMath::f32:
      launch_simt_conv(pass, c, plan, split.count, stream);
      break;
    case GemmMath::tf32:
      launch_tensor_conv<float>(pass, c, plan, shares.chunks, split.count, stream);
      break;
    case GemmMath::bf16:
      launch_half<__nv_bfloat16>(pass, c, plan, shares, stream);
      break;
    case GemmMath::f16:
      launch_half<__half>(pass, c, plan, shares, stream);
      break;
  }
  if (splits) add_splits(pass, c, split.count, stream);
}

int64_t note_tiles(ConvPass pass, GemmMath math, const ConvWork& c) {
  return note_tiles(pass, math, c, plan_conv(pass, math, c));
}

void conv2d(ConvPass pass, GemmMath math, const ConvWork& c, Stream stream) {
  check(math, c.problem, c.out_type);
  conv2d(pass, math, c, plan_conv(pass, math, c), stream);
}

ConvWork dgrad_work(const Conv2dProblem& p, const void* dy, const void* w, void* dx,
                    DType dx_type) {
  return {.problem = p, .a = dy, .b = w, .out = dx, .out_type = dx_type};
}

ConvWork fprop_work(const Conv2dProblem& p, const void* x, const void* w, const ConvLastStep& last,
                    void* y, DType y_type) {
  return {.problem = p, .a = x, .b = w, .out = y, .out_type = y_type, .scale = last.scale,
          .bias = last.bias, .residual = last.residual, .activation = last.activation,
          .moments = last.moments};
}

TileGrid moment_tiles(GemmMath math, const ConvWork& c) {
  const Conv2dProblem& p = c.problem;
  const GemmPlan plan = plan_conv(ConvPass::fprop, math, c);
  return rows_in_tiles(p.n * p.out_h() * p.out_w(), note_rows(ConvPass::fprop, math, c, plan));
}

TileGrid conv2d_moment_tiles(GemmMath math, const Conv2dProblem& p, const void* x, const void* w) {
  return moment_tiles(math, {.problem = p, .a = x, .b = w});
}

void conv2d_fprop(GemmMath math, const Conv2dProblem& p, const void* x, const void* w,
                  const ConvLastStep& last, void* y, DType y_type, Stream stream) {
  conv2d(ConvPass::fprop, math, fprop_work(p, x, w, last, y, y_type), stream);
}

void conv2d_dgrad(GemmMath math, const Conv2dProblem& p, const void* dy, const void* w, void* dx,
                  DType dx_type, Stream stream) {
  conv2d(ConvPass::dgrad, math, dgrad_work(p, dy, w, dx, dx_type), stream);
}

void conv2d_wgrad(GemmMath math, const Conv2dProblem& p, const void* x, const void* dy, float* dw,
                  Stream stream) {
  conv2d(ConvPass::wgrad, math,
         {.problem = p, .a = dy, .b = x, .out = dw, .out_type = DType::f32}, stream);
}

}  // namespace graft::cuda
