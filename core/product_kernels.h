// Convolutions and matrix products on a CUDA device by either of two sets of kernels: ours, or
// NVIDIA's where they can be loaded. For operations; core/kernel_choice.h is what a program sees.
#pragma once
#include <functional>
#include <string>

#include "kernels/conv2d.h"
#include "kernels/gemm.h"

namespace graft {

struct ProductKernels {
  bool own;  // ours: they also leave what a batch norm wants to know (core/moments.h, norm_sums.h)
  void (*gemm)(const cuda::GemmProblem&, cuda::Stream);
  decltype(&cuda::conv2d_fprop) fprop;
  decltype(&cuda::conv2d_dgrad) dgrad;
  decltype(&cuda::conv2d_wgrad) wgrad;
};

bool vendor_offers(const cuda::GemmProblem& problem);  // false where nobody has asked for NVIDIA's
bool vendor_offers(const cuda::ConvLastStep& last);

// One of the two, as kernel_choice.h says; ours where the other is not `offered`. problem() names
// shape, types and last step; `run` may be called with both, to be timed.
using RunProduct = std::function<void(const ProductKernels&)>;
ProductKernels product_kernels(bool offered, const std::function<std::string()>& problem,
                               const RunProduct& run);
// Runs it with those, too.
void with_product_kernels(bool offered, const std::function<std::string()>& problem,
                          const RunProduct& run);

std::string name_of(const char* pass, DType dtype, const Conv2dProblem& p,
                    const cuda::ConvLastStep& last = {});
std::string name_of(const cuda::GemmProblem& p);

}  // namespace graft
