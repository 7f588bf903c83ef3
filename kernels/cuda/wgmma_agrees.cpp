// A product and a convolution of small integers with wgmma and with mma: the same bits, or Hopper's
// kernels are not to be used on this device. Whatever they may misread, descriptors of shared memory
// or the copy engine's boxes, changes a sum of integers by one at least. Not yet run on a GPU.
#include <bit>
#include <vector>

#include "kernels/cuda/conv2d_launch.h"

namespace graft::cuda {
namespace {

// Integers from -3 to 3 in bf16, whose bits are the upper half of a float's.
std::vector<uint16_t> small_integers(size_t count, uint32_t seed) {
  std::vector<uint16_t> bits(count);
  for (uint16_t& b : bits) {
    seed = seed * 1664525 + 1013904223;
    const float value = float(int(seed >> 16) % 7 - 3);
    b = uint16_t(std::bit_cast<uint32_t>(value) >> 16);
  }
  return bits;
}

struct Operand {  // on the device
  Scratch values;

  Operand(int64_t count, uint32_t seed) : values(size_t(count) * 2, {}) {
    const std::vector<uint16_t> bits = small_integers(size_t(count), seed);
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

bool product_agrees(bool transpose_a, bool transpose_b) {
  constexpr int64_t kM = 136, kN = 264, kK = 328;
  const Operand a(kM * kK, 1), b(kN * kK, 2);
  return every_tile_agrees(kM * kN, [&](void* c, const GemmPlan& plan) {
    GemmProblem p{.math = GemmMath::bf16, .transpose_a = transpose_a, .transpose_b = transpose_b,
                  .m = kM, .n = kN, .k = kK};
    p.a = a.values.data(), p.a_stride = transpose_a ? kM : kK;
    p.b = b.values.data(), p.b_stride = transpose_b ? kK : kN;
    p.c = c, p.c_stride = kN;
    gemm(p, plan, {});
  });
}

bool convolution_agrees(ConvPass pass) {
  Conv2dProblem p{.n = 2, .h = 9, .w = 10, .c = 64, .k = 72, .r = 3, .s = 3};
  p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = 1;
  const int64_t pixels = p.n * p.h * p.w, weights = p.k * p.r * p.s * p.c;
  const Operand x(pixels * p.c, 3), w(weights, 4), dy(pixels * p.k, 5);
  const int64_t count = pass == ConvPass::fprop   ? pixels * p.k
                        : pass == ConvPass::dgrad ? pixels * p.c
                                                  : weights;
  return every_tile_agrees(count, [&](void* out, const GemmPlan& plan) {
    const void* a = pass == ConvPass::fprop ? x.values.data() : dy.values.data();
    const void* b = pass == ConvPass::wgrad ? x.values.data() : w.values.data();
    conv2d(pass, GemmMath::bf16,
           {.problem = p, .a = a, .b = b, .out = out, .out_type = DType::f32}, plan, {});
  });
}

}  // namespace

bool wgmma_agrees() {
  return product_agrees(false, true) && product_agrees(true, false) &&
         convolution_agrees(ConvPass::fprop) && convolution_agrees(ConvPass::dgrad) &&
         convolution_agrees(ConvPass::wgrad);
}

}  // namespace graft::cuda
