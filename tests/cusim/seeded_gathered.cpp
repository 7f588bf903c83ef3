// The smallest program that runs the three passes of a convolution with wgmma, whose matrix the copy
// engine gathers, for seeded.sh: several tiles, images that end within a box, a filter and a border
// that are not square. Argument: forward, reverse or random. Prints PASS, or what is wrong.
#include "kernels/cuda/conv2d_wgmma.cuh"
#include "tests/cusim/seeded_conv.h"

using namespace graft;
using namespace graft::cuda;

namespace {

constexpr int kTile = 1;  // 128 x 128

template <ConvPass kPass>
bool passes(const char* name, const Tensors& t) {
  return run<kPass>(name, t, kWgmmaTiles[kTile].m, [](const ConvWork& c) {
    launch_conv_wgmma<kPass, __nv_bfloat16, kTile>(c, 1, {});
  });
}

}  // namespace

int main(int count, char** arguments) {
  cusim::take_order(count, arguments);
  Conv2dProblem p{.n = 3, .h = 7, .w = 8, .c = 64, .k = 72, .r = 3, .s = 2};
  p.pad_top = p.pad_left = p.pad_bottom = 1;
  const Tensors t(p);
  const bool good = passes<ConvPass::fprop>("fprop", t) && passes<ConvPass::dgrad>("dgrad", t) &&
                    passes<ConvPass::wgrad>("wgrad", t);
  if (good) std::puts("PASS");
  return !good;
}
