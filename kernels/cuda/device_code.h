// One of our kernels, by which runtime.cpp asks whether the device can run them. Not yet run on a GPU.
#pragma once

namespace graft::cuda {

const void* any_kernel();

}  // namespace graft::cuda
