// The smallest program that runs the three passes of a convolution, of x and of what a norm makes of
// it, for seeded.sh. Argument: forward, reverse or random. Prints PASS, or what is wrong.
#include "tests/cusim/seeded_conv.h"

#include "kernels/cuda/conv2d_mma.cuh"

using namespace graft;
using namespace graft::cuda;

namespace {

constexpr int kTile = 2;  // 64 x 64

template <ConvPass kPass>
bool passes(const char* name, const Tensors& t, const Norm* norm = nullptr) {
  return run<kPass>(
      name, t, kTensorTiles[kTile].m,
      [](const ConvWork& c) { launch_conv_tile<kPass, __nv_bfloat16, kTile, true>(c, 1, {}); }, norm);
}

}  // namespace

int main(int count, char** arguments) {
  cusim::take_order(count, arguments);
  Conv2dProblem p{.n = 2, .h = 7, .w = 9, .c = 24, .k = 72, .r = 3, .s = 3};
  p.stride_h = p.stride_w = 2;
  p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = 1;
  const Tensors t(p);
  const Norm norm(p.c);
  const bool good = passes<ConvPass::fprop>("fprop", t) && passes<ConvPass::dgrad>("dgrad", t) &&
                    passes<ConvPass::wgrad>("wgrad", t) &&
                    passes<ConvPass::fprop>("fprop of a norm", t, &norm) &&
                    passes<ConvPass::wgrad>("wgrad of a norm", t, &norm);
  if (good) std::puts("PASS");
  return !good;
}
