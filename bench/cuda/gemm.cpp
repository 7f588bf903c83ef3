// G1 large cubes, G2 the 1x1 convolutions of ResNet-50 as products, G3 VGG's first matrix and heads
// without their loss (head.cpp), G4 f32 and tf32, G5 large cubes with each tile of Hopper's wgmma.
#include <array>
#include <memory>

#include "bench/cuda/timed.h"
#include "kernels/cuda/gemm_plan.h"
#ifdef GRAFT_WITH_VENDOR
#include "kernels/vendor/gemm.h"
#endif

namespace graft::bench {
namespace {

using cuda::GemmMath;

struct Shape {
  std::string group;
  int64_t m, n, k;
  bool transpose_a = false, transpose_b = true;  // as a linear layer's forward pass
  GemmMath math = GemmMath::bf16;
  int wgmma_tile = -1;  // of cuda::kWgmmaTiles; below 0: what the plan says
};

DType type_of(GemmMath math) {
  return math == GemmMath::bf16 ? DType::bf16 : math == GemmMath::f16 ? DType::f16 : DType::f32;
}
const char* name_of(GemmMath math) {
  constexpr const char* names[] = {"f32", "tf32", "bf16", "f16"};
  return names[int(math)];
}

struct Arrays {
  Buffer a, b, c;
};

std::function<void(int)> prepared(const Shape& s, int sets, bool vendor) {
  const DType type = type_of(s.math);
  auto arrays = std::make_shared<Arrays>(
      Buffer(type, s.m * s.k, sets), Buffer(type, s.n * s.k, sets), Buffer(type, s.m * s.n, sets));
  return [=](int set) {
    cuda::GemmProblem p{.math = s.math,
                        .transpose_a = s.transpose_a,
                        .transpose_b = s.transpose_b,
                        .m = s.m,
                        .n = s.n,
                        .k = s.k};
    p.a = arrays->a.at(set), p.a_stride = s.transpose_a ? s.m : s.k;
    p.b = arrays->b.at(set), p.b_stride = s.transpose_b ? s.k : s.n;
    p.c = arrays->c.at(set), p.c_stride = s.n, p.c_type = type;
#ifdef GRAFT_WITH_VENDOR
    if (vendor) return vendor::gemm(p, {});
#endif
    (void)vendor;
    if (s.wgmma_tile >= 0) return cuda::gemm(p, {s.wgmma_tile, 1, true}, {});
    cuda::gemm(p, {});
  };
}

std::string name_of_tile(int tile) {
  const cuda::GemmTile& t = cuda::kWgmmaTiles[tile];
  return "_wgmma" + std::to_string(t.m) + "x" + std::to_string(t.n) +
         (t.cluster > 1 ? "_by_" + std::to_string(t.cluster) : "");
}

void add_shape(const Shape& s) {
  const double size = double(size_of(type_of(s.math)));
  const double bytes = size * double(s.m * s.k + s.n * s.k + s.m * s.n);
  const std::string form = std::string(s.transpose_a ? "t" : "n") + (s.transpose_b ? "t" : "n");
  const std::string name = s.group + "/gemm_" + std::to_string(s.m) + "x" + std::to_string(s.n) +
                           "x" + std::to_string(s.k) + "_" + form +
                           (s.wgmma_tile >= 0 ? name_of_tile(s.wgmma_tile) : "") + "/" +
                           name_of(s.math) + "/";
  const int sets = sets_for(bytes);
  for (bool vendor : {false, true}) {
#ifndef GRAFT_WITH_VENDOR
    if (vendor) continue;
#endif
    add({.name = name + (vendor ? "vendor" : "own"),
         .flops = 2.0 * double(s.m * s.n) * double(s.k),
         .bytes = bytes,
         .math = s.math,
         .prepare = [=] { return prepared(s, sets, vendor); },
         .sets = sets});
  }
}

}  // namespace

void add_gemm() {
  for (int64_t side : {2048, 4096, 8192})
    for (auto [ta, tb] : {std::pair(false, true), {false, false}, {true, false}})
      add_shape({"G1", side, side, side, ta, tb});
  constexpr std::array<std::array<int64_t, 3>, 9> one_by_one{{{3136, 64, 64},
                                                              {3136, 256, 64},
                                                              {3136, 64, 256},
                                                              {784, 128, 512},
                                                              {784, 512, 128},
                                                              {196, 256, 1024},
                                                              {196, 1024, 256},
                                                              {49, 512, 2048},
                                                              {49, 2048, 512}}};
  for (auto [pixels, n, k] : one_by_one) add_shape({"G2", 256 * pixels, n, k});
  for (int64_t rows : {1, 32, 256}) add_shape({"G3", rows, 4096, 25088});
  for (int64_t rows : {32, 256})
    for (int64_t classes : {2, 10, 102, 1000})
      for (int64_t width : {512, 2048, 4096}) add_shape({"G3", rows, classes, width});
  add_shape({"G4", 4096, 4096, 4096, false, true, GemmMath::f32});
  for (int64_t side : {4096, 8192})
    add_shape({"G4", side, side, side, false, true, GemmMath::tf32});
  if (cuda::device_info().major != 9) return;
  for (int64_t side : {4096, 8192})
    for (int tile = 0; tile < cuda::kWgmmaTileCount; ++tile)
      add_shape({"G5", side, side, side, false, true, GemmMath::bf16, tile});
}

}  // namespace graft::bench
