// One of our kernels, by which runtime.cpp asks whether the device can run them.
#pragma once

namespace graft::cuda {

const void* any_kernel();

}  // namespace graft::cuda
