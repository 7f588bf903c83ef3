// Whether the planner may choose Hopper's kernels. The simulator answers for itself.
// Not yet run on a GPU.
#include "kernels/cuda/gemm_plan.h"

namespace graft::cuda {
namespace {

#ifdef GRAFT_COMPILED_FOR_HOPPER  // of no other code has wgmma a body
constexpr bool kCompiledForHopper = true;
#else
constexpr bool kCompiledForHopper = false;
#endif

}  // namespace

bool wgmma_works() {
  static const bool works =
      wgmma_wanted() && kCompiledForHopper && device_info().major == 9 && wgmma_agrees();
  return works;
}

}  // namespace graft::cuda
