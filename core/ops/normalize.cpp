#include "core/ops.h"
#include "kernels/augment.h"

namespace graft {

Tensor normalize(const Tensor& pixels, float scale, std::array<float, 3> mean,
                 std::array<float, 3> std, bool bgr) {
  GRAFT_CHECK(pixels.rank() == 4 && pixels.dim(3) == 3, "normalize: pixels {} must be (N,H,W,3)",
              pixels.shape());
  GRAFT_CHECK(std[0] > 0 && std[1] > 0 && std[2] > 0, "normalize: std {} must be positive", std);
  Tensor y(pixels.shape());
  Normalization n{scale, {mean[0], mean[1], mean[2]}, {std[0], std[1], std[2]}, bgr};
  cpu::normalize(n, pixels.size() / 3, pixels.data<uint8_t>(), y.mutable_data());
  return y;
}

}  // namespace graft
