// The functions of this folder as one table in a library of its own, libgraft_vendor.so, which a
// program loads when it wants them: to map NVIDIA's libraries takes 0.4 s and 200 MB.
#pragma once
#include <string>

#include "kernels/conv2d.h"
#include "kernels/gemm.h"
#include "kernels/vendor/no_plan.h"

namespace graft {

struct VendorKernels {  // those that compute may throw vendor::NoPlan
  bool (*offers_gemm)(const cuda::GemmProblem&);
  bool (*offers_conv2d)(const cuda::ConvLastStep&);
  void (*gemm)(const cuda::GemmProblem&, cuda::Stream);
  decltype(&cuda::conv2d_fprop) fprop;
  decltype(&cuda::conv2d_dgrad) dgrad;
  decltype(&cuda::conv2d_wgrad) wgrad;
  std::string (
      *versions)();  // "cuBLASLt 130002, cuDNN 91300": verdicts about speed hold for these alone
};

}  // namespace graft

extern "C" const graft::VendorKernels* graft_vendor_kernels();
