#include "core/vendor_kernels.h"

#include "core/check.h"
#ifdef GRAFT_WITH_VENDOR
#include <dlfcn.h>
#endif

namespace graft {

#ifdef GRAFT_WITH_VENDOR

const bool kWithVendor = true;

namespace {

const VendorKernels* load() {
  constexpr const char* file = "libgraft_vendor.so";
  void* library = dlopen(file, RTLD_NOW | RTLD_LOCAL);  // stays until the process ends
  if (!library)
    fail(Fault::unavailable, "kernels: cuBLASLt and cuDNN cannot be loaded: {}", dlerror());
  auto table =
      reinterpret_cast<decltype(&graft_vendor_kernels)>(dlsym(library, "graft_vendor_kernels"));
  if (!table) fail(Fault::unavailable, "kernels: {} is not of this graft: {}", file, dlerror());
  return table();
}

}  // namespace

const VendorKernels& vendor_kernels() {
  static const VendorKernels* table = load();
  return *table;
}

#else

const bool kWithVendor = false;

const VendorKernels& vendor_kernels() {
  fail(Fault::unavailable,
       "kernels: this graft was built without cuBLASLt and cuDNN; only its own are here");
}

#endif

}  // namespace graft
