// Convolutions on Hopper's tensor cores, as implicit matrix products (conv2d_geometry.h) whose
// gathered matrix the copy engine makes: told once how output pixels meet the source, it brings one
// tap of 128 pixels and 64 channels in one copy, with zeros for the padding (tensor_map.h).
//
//            A, boxes of (128,64)                  B, boxes of (N,64)
//   fprop    x, gathered: pixels x C of a tap      w (k, taps C): 64 channels of a tap
//   dgrad    dy, gathered: pixels x K of a tap     w (k, taps C): 64 of k, channels of a tap
//   wgrad    dy (pixels, k): 64 pixels             x, gathered: 64 pixels x 64 channels of a tap
//
// A step of depth is 64 channels of one tap, in wgrad 64 pixels. Where a tap's channels are no
// multiple of 64, the rest of A is zero, and the filters of the next tap are multiplied by it. In
// wgrad a box of 64 columns must be of one tap. The rest is wgmma_block.cuh; the last step that of
// conv2d_block.cuh, with what the next batch norm wants noted by the 256 threads that multiply.
//
// Groups, a dgrad with a stride and an input that is normalised on its way stay with conv2d_mma.cuh.
//
// Bytes moved: x once for every tap and every N filters, out of the L2 cache but for the first time.
// Source: im2col mode, in the section on tensors of the PTX ISA. Not yet run on a GPU.
#pragma once
#include "kernels/cuda/conv2d_boxes.cuh"
#include "kernels/cuda/wgmma_block.cuh"

namespace graft::cuda {

template <ConvPass kPass>
using ConvNotesOfWgmma = ConvNotes<kPass, 4, 32, 32, PartOfBlock<128, 256>>;

template <ConvPass kPass, class T, int kTile>
struct ConvWgmmaBlock
    : WgmmaBlock<T, kTile, kPass != ConvPass::wgrad, kPass == ConvPass::fprop> {
  using Base = WgmmaBlock<T, kTile, kPass != ConvPass::wgrad, kPass == ConvPass::fprop>;
  using Notes = ConvNotesOfWgmma<kPass>;
  static_assert(Base::kStep == kWgmmaDepth && Base::kPart == 32 && Base::kFirst == 128 && 32 * Base::kWarps == 256);
  struct Shared : Base::Shared {
    typename Notes::Parts notes;
  };

  // Sums (16,32) of a warp -> the result.
  static __device__ void finish(Shared& shared, const ConvWork& c, const ConvPart<kPass>& part,
                                const typename Base::Item& item, int row, int column,
                                const float* staged) {
    const int mine = column + int(threadIdx.x) % 8 * 4;
    Notes notes(c, part.out + mine, min(part.n - mine, 4));
    Base::each_four(staged, [&](int r, int across, const float* four) {
      finish_conv_four(c, part, item.split, 0, row + r, column + across, four, notes);
    });
    if (Notes::wanted(c) && !c.partial && item.at.m < part.m && column < part.n)
      notes.store(shared.notes, c,
                  noted_tile<Base::M>(c, part, {item.at.m, column}));
  }
};

// Registers of a thread: where a box lies takes more of them than in a product of two matrices.
constexpr int kGatherRegisters = 56, kConvMultiplyRegisters = 224;

// a: x, dy, dy; b: w, w, x, as the copy engine is told about them.
template <ConvPass kPass, class T, int kTile>
__global__ void __launch_bounds__(kWgmmaTiles[kTile].threads(), kWgmmaTiles[kTile].blocks)
    conv2d_wgmma(const ConvWork c, const __grid_constant__ ConvPart<kPass> part, const WgmmaWork work,
                 const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b) {
  if constexpr (ptx::kHopper) {
    using Block = ConvWgmmaBlock<kPass, T, kTile>;
    GRAFT_SHARED(typename Block::Shared, shared);
    auto finish = [&](const typename Block::Item& item, int row, int column, const float* staged) {
      Block::finish(shared, c, part, item, row, column, staged);
    };
    Block::template run<kGatherRegisters, kConvMultiplyRegisters>(
        shared, work, ConvBoxes<kPass, typename Block::Stage>{part, a, b}, finish);
  }
}

// The gathered image of a pass: what the copy engine is told.
template <ConvPass kPass>
PixelBoxes gathered_boxes(const ConvPart<kPass>& part, DType type, int box_pixels) {
  auto side = [](const Side& of, int outputs) {
    return BoxSide{.size = of.size, .lower = of.lowest(), .stride = of.scale, .outputs = outputs};
  };
  return {.type = type,
          .data = part.x.data,
          .images = part.grid.images,
          .h = side(part.x.h, part.grid.rows),
          .w = side(part.x.w, part.grid.columns),
          .channels = part.x.channels,
          .box_pixels = box_pixels};
}

template <ConvPass kPass, class T, int kTile>
void launch_conv_wgmma(const ConvWork& c, int splits, Stream stream) {
  using Block = ConvWgmmaBlock<kPass, T, kTile>;
  using A = decltype(Block::Stage::a);
  using B = decltype(Block::Stage::b);
  const DType type = std::is_same_v<T, __half> ? DType::f16 : DType::bf16;
  const ConvPart<kPass> part(c, 0);
  const int columns = part.f.r * part.f.s * part.f.c;  // of w
  TensorMap a, b;
  if constexpr (kPass == ConvPass::wgrad) {
    a = A::map(type, c.a, part.m, part.depth, part.dy_stride);
    b = encode(gathered_boxes(part, type, B::kBoxPixels));
  } else {
    a = encode(gathered_boxes(part, type, A::kBoxPixels));
    const int64_t filters = c.problem.k;
    b = kPass == ConvPass::fprop ? B::map(type, c.b, filters, columns, columns)
                                 : B::map(type, c.b, columns, filters, columns);
  }
  const WgmmaWork work{.m = part.m,
                       .n = part.n,
                       .steps = wgmma_steps(kPass, c.problem),
                       .steps_each = int(c.part / Block::kStep),
                       .splits = splits};
  launch(conv2d_wgmma<kPass, T, kTile>,
         Block::launch_of(work, sizeof(typename Block::Shared), stream), c, part, work, a, b);
}

template <ConvPass kPass, class T>
void launch_wgmma_pass(const ConvWork& c, const GemmPlan& plan, int splits, Stream stream) {
  static_assert(kWgmmaTileCount == 3);
  if (plan.tile == 0)
    launch_conv_wgmma<kPass, T, 0>(c, splits, stream);
  else if (plan.tile == 1)
    launch_conv_wgmma<kPass, T, 1>(c, splits, stream);
  else
    launch_conv_wgmma<kPass, T, 2>(c, splits, stream);
}

// The kernels of one element type; instantiated in conv2d_wgmma_<type>.cu.
template <class T>
void launch_wgmma_conv(ConvPass pass, const ConvWork& c, const GemmPlan& plan, int splits,
                       Stream stream) {
  switch (pass) {
    case ConvPass::fprop:
      return launch_wgmma_pass<ConvPass::fprop, T>(c, plan, splits, stream);
    case ConvPass::dgrad:
      return launch_wgmma_pass<ConvPass::dgrad, T>(c, plan, splits, stream);
    case ConvPass::wgrad:
      return launch_wgmma_pass<ConvPass::wgrad, T>(c, plan, splits, stream);
  }
}

}  // namespace graft::cuda
