// Conv2dProblem in oneDNN's words: maps NCHW by name and NHWC in memory, filters (k, r, s, c) as we
// hold them and in whatever order a kernel asks for. And the probe for slow reference kernels, one
// small problem of each kind: 0.4 ms when a program starts (bench/RESULTS.md).
#include "kernels/cpu/conv2d_geometry.h"

namespace graft::cpu {

Geometry geometry(const Conv2dProblem& p, dnnl::memory::format_tag activations,
                  dnnl::memory::data_type factors) {
  using dnnl::memory;
  using tag = memory::format_tag;
  constexpr auto kF32 = memory::data_type::f32;
  memory::dims filter = p.groups == 1
                            ? memory::dims{p.k, p.c, p.r, p.s}
                            : memory::dims{p.groups, p.k / p.groups, p.c / p.groups, p.r, p.s};
  return {{{p.n, p.c, p.h, p.w}, factors, activations},
          {filter, kF32, p.groups == 1 ? tag::ohwi : tag::gohwi},
          {filter, factors, tag::any},
          {{p.k}, kF32, tag::x},
          {{p.n, p.k, p.out_h(), p.out_w()}, kF32, activations},
          {{1, p.k, 1, 1}, kF32, tag::nhwc},
          {p.stride_h, p.stride_w},
          {p.dilation_h - 1, p.dilation_w - 1},
          {p.pad_top, p.pad_left},
          {p.pad_bottom, p.pad_right}};
}

std::string describe(const char* kernel, const Conv2dProblem& p) {
  auto number = [](int64_t v) { return std::to_string(v); };
  return std::string(kernel) + " n" + number(p.n) + " h" + number(p.h) + " w" + number(p.w) + " c" +
         number(p.c) + " k" + number(p.k) + " " + number(p.r) + "x" + number(p.s) + " stride " +
         number(p.stride_h) + " dilation " + number(p.dilation_h) + " groups " + number(p.groups);
}

void probe_conv2d() {
  Conv2dProblem block{.n = 8, .h = 14, .w = 14, .c = 64, .k = 64, .r = 3, .s = 3};
  block.pad_top = block.pad_left = block.pad_bottom = block.pad_right = 1;
  Conv2dProblem stem = block, narrow = block, depthwise = block;
  stem.c = 3, stem.stride_h = stem.stride_w = 2;
  narrow.r = narrow.s = 1, narrow.pad_top = narrow.pad_left = narrow.pad_bottom = narrow.pad_right = 0;
  depthwise.groups = 64;
  for (const Conv2dProblem& p : {block, stem, narrow, depthwise}) {
    probe_fprop(p);
    probe_backward(p);
  }
}

std::vector<std::string> reference_implementations() { return noted_reference_implementations(); }

}  // namespace graft::cpu
