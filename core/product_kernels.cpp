#include "core/product_kernels.h"

#include "core/dispatch.h"
#include "core/kernel_choice.h"
#include "core/vendor_kernels.h"

namespace graft {
namespace {

#ifdef GRAFT_WITH_CUDA
constexpr ProductKernels kOwn{true, &cuda::gemm, &cuda::conv2d_fprop, &cuda::conv2d_dgrad,
                              &cuda::conv2d_wgrad};
#else
constexpr ProductKernels kOwn{};  // never called: no tensor is on a device
#endif

ProductKernels theirs() {
  const VendorKernels& table = vendor_kernels();
  return {false, table.gemm, table.fprop, table.dgrad, table.wgrad};
}

std::string last_step(bool scale, bool bias, bool residual, Activation activation) {
  return fmt::format("{}{}{} {}", scale ? " scale" : "", bias ? " bias" : "",
                     residual ? " residual" : "", name_of(activation));
}

}  // namespace

bool vendor_offers(const cuda::GemmProblem& problem) {
  return kernels_in_use() != Kernels::own && vendor_kernels().offers_gemm(problem);
}

bool vendor_offers(const cuda::ConvLastStep& last) {
  return kernels_in_use() != Kernels::own && vendor_kernels().offers_conv2d(last);
}

ProductKernels product_kernels(bool offered, const std::function<std::string()>& problem,
                               const RunProduct& run) {
  const bool own = !offered || ours_run(
                                   problem, [&] { run(kOwn); }, [&] { run(theirs()); });
  return own ? kOwn : theirs();
}

void with_product_kernels(bool offered, const std::function<std::string()>& problem,
                          const RunProduct& run) {
  run(product_kernels(offered, problem, run));
}

std::string name_of(const char* pass, DType dtype, const Conv2dProblem& p,
                    const cuda::ConvLastStep& last) {
  return fmt::format(
      "conv2d {} {} n{} h{} w{} c{} k{} r{} s{} stride{},{} pad{},{},{},{} dilation{},{} "
      "groups{}{}",
      pass, name_of(dtype), p.n, p.h, p.w, p.c, p.k, p.r, p.s, p.stride_h, p.stride_w, p.pad_top,
      p.pad_left, p.pad_bottom, p.pad_right, p.dilation_h, p.dilation_w, p.groups,
      last_step(last.scale, last.bias, last.residual, last.activation));
}

std::string name_of(const cuda::GemmProblem& p) {
  constexpr const char* math[] = {"f32", "tf32", "bf16", "f16"};
  return fmt::format("gemm {} {}{} m{} n{} k{} -> {}{}", math[int(p.math)],
                     p.transpose_a ? "t" : "n", p.transpose_b ? "t" : "n", p.m, p.n, p.k,
                     name_of(p.c_type), last_step(false, p.bias, p.residual, p.activation));
}

}  // namespace graft
