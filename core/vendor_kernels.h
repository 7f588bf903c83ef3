// NVIDIA's kernels, loaded from libgraft_vendor.so the first time that somebody asks for them.
#pragma once
#include "kernels/vendor/kernels.h"

namespace graft {

extern const bool kWithVendor;  // this build has that library

const VendorKernels& vendor_kernels();  // throws Fault::unavailable where it cannot be loaded

}  // namespace graft
