#include "kernels/vendor/kernels.h"

#include <cublasLt.h>
#include <cudnn.h>

#include "kernels/vendor/conv2d.h"
#include "kernels/vendor/gemm.h"

namespace {

std::string versions() {
  return "cuBLASLt " + std::to_string(cublasLtGetVersion()) + ", cuDNN " +
         std::to_string(cudnnGetVersion());
}

}  // namespace

const graft::VendorKernels* graft_vendor_kernels() {
  using namespace graft;
  static const VendorKernels table{
      [](const cuda::GemmProblem& p) { return vendor::offers(p); },
      [](const cuda::ConvLastStep& last) { return vendor::offers(last); },
      &vendor::gemm,
      &vendor::conv2d_fprop,
      &vendor::conv2d_dgrad,
      &vendor::conv2d_wgrad,
      &versions};
  return &table;
}
