// The table of kernels.h, all that libgraft_vendor.so shows. Not yet run on a GPU.
#include "kernels/vendor/kernels.h"

#include "kernels/vendor/conv2d.h"
#include "kernels/vendor/gemm.h"
#include "kernels/vendor/versions.h"

const graft::VendorKernels* graft_vendor_kernels() {
  using namespace graft;
  static const VendorKernels table{
      [](const cuda::GemmProblem& p) { return vendor::offers(p); },
      [](const cuda::ConvLastStep& last) { return vendor::offers(last); },
      &vendor::gemm,
      &vendor::conv2d_fprop,
      &vendor::conv2d_dgrad,
      &vendor::conv2d_wgrad,
      &vendor::versions};
  return &table;
}
