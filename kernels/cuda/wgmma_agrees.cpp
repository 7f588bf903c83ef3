// Products and convolutions of small integers with wgmma and with mma: the same bits, or Hopper's
// kernels are not to be used on this device. Whatever they may misread, descriptors of shared memory
// or the copy engine's boxes, changes a sum of integers by one at least. Neither are they used where
// the driver refuses what they ask of it. Not yet run on a GPU.
#include <algorithm>
#include <vector>

#include "kernels/cuda/conv2d_launch.h"
#include "kernels/dtype.h"

namespace graft::cuda {
namespace {

// The bits of integers from -3 to 3.
std::vector<uint16_t> small_integers(GemmMath math, size_t count, uint32_t seed) {
  std::vector<uint16_t> bits(count);
  for (uint16_t& b : bits) {
    seed = seed * 1664525 + 1013904223;
    const float value = float(int(seed >> 16) % 7 - 3);
    b = math == GemmMath::bf16 ? bf16(value).bits : f16(value).bits;
  }
  return bits;
}

struct Operand {  // on the device
  Scratch values;

  Operand(GemmMath math, int64_t count, uint32_t seed) : values(size_t(count) * 2, {}) {
    const std::vector<uint16_t> bits = small_integers(math, size_t(count), seed);
    copy(values.data(), bits.data(), bits.size() * 2, {});
  }
};

// What run(c, plan) leaves in c, `count` floats on the device.
template <class Run>
std::vector<float> result_of(int64_t count, const GemmPlan& plan, const Run& run) {
  const auto bytes = size_t(count) * sizeof(float);
  const Scratch c(bytes, {});
  fill_bytes(c.data(), 0xff, bytes, {});  // NaN
  run(c.data(), plan);
  std::vector<float> values(static_cast<size_t>(count));
  copy(values.data(), c.data(), bytes, {});
  return values;
}

template <class Run>
bool every_tile_agrees(int64_t count, const Run& run) {
  const std::vector<float> right = result_of(count, {.tile = 1}, run);
  for (int tile = 0; tile < kWgmmaTileCount; ++tile)
    if (result_of(count, {.tile = tile, .wgmma = true}, run) != right) return false;
  return true;
}

struct Product {
  GemmMath math;
  bool transpose_a, transpose_b;
};
constexpr Product kProducts[] = {{GemmMath::bf16, false, true}, {GemmMath::f16, true, false}};

bool product_agrees(const Product& of) {
  constexpr int64_t kM = 136, kN = 264, kK = 328;
  const Operand a(of.math, kM * kK, 1), b(of.math, kN * kK, 2);
  return every_tile_agrees(kM * kN, [&](void* c, const GemmPlan& plan) {
    GemmProblem p{.math = of.math, .transpose_a = of.transpose_a, .transpose_b = of.transpose_b,
                  .m = kM, .n = kN, .k = kK};
    p.a = a.values.data(), p.a_stride = of.transpose_a ? kM : kK;
    p.b = b.values.data(), p.b_stride = of.transpose_b ? kK : kN;
    p.c = c, p.c_stride = kN;
    gemm(p, plan, {});
  });
}

struct Convolution {  // of 3 x 3 taps
  ConvPass pass;
  GemmMath math;
  int64_t channels, filters;
  int stride = 1;
};
constexpr Convolution kConvolutions[] = {
    {ConvPass::fprop, GemmMath::bf16, 64, 72},
    {ConvPass::dgrad, GemmMath::bf16, 64, 72},
    {ConvPass::wgrad, GemmMath::bf16, 64, 72},
    {ConvPass::fprop, GemmMath::f16, 64, 72, 2},
    {ConvPass::wgrad, GemmMath::f16, 64, 72, 2},
    {ConvPass::fprop, GemmMath::bf16, 16, 24},  // boxes of 64 channels: more than the image has
};

bool convolution_agrees(const Convolution& of) {
  Conv2dProblem p{.n = 2, .h = 9, .w = 10, .c = of.channels, .k = of.filters, .r = 3, .s = 3};
  p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = 1;
  p.stride_h = p.stride_w = of.stride;
  const int64_t x_count = p.n * p.h * p.w * p.c, w_count = p.k * p.r * p.s * p.c;
  const int64_t y_count = p.n * p.out_h() * p.out_w() * p.k;
  const Operand x(of.math, x_count, 3), w(of.math, w_count, 4), dy(of.math, y_count, 5);
  const int64_t count = of.pass == ConvPass::fprop   ? y_count
                        : of.pass == ConvPass::dgrad ? x_count
                                                     : w_count;
  return every_tile_agrees(count, [&](void* out, const GemmPlan& plan) {
    const void* a = of.pass == ConvPass::fprop ? x.values.data() : dy.values.data();
    const void* b = of.pass == ConvPass::wgrad ? x.values.data() : w.values.data();
    conv2d(of.pass, of.math, {.problem = p, .a = a, .b = b, .out = out, .out_type = DType::f32}, plan,
           {});
  });
}

}  // namespace

bool wgmma_agrees() {
  try {
    return std::ranges::all_of(kProducts, product_agrees) &&
           std::ranges::all_of(kConvolutions, convolution_agrees);
  } catch (const DeviceError& refused) {  // a tensor map, or a launch
    if (refused.sticky) throw;
    return false;
  }
}

}  // namespace graft::cuda
