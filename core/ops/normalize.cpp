#include "core/dispatch.h"
#include "core/ops.h"
#include "core/pixel_source.h"

namespace graft {

Tensor normalize(const Tensor& pixels, float scale, std::array<float, 3> mean,
                 std::array<float, 3> std, bool bgr, DType dtype) {
  GRAFT_CHECK(pixels.rank() == 4 && pixels.dim(3) == 3, "normalize: pixels {} must be (N,H,W,3)",
              pixels.shape());
  GRAFT_CHECK(std[0] > 0 && std[1] > 0 && std[2] > 0, "normalize: std {} must be positive", std);
  const Normalization n{scale, {mean[0], mean[1], mean[2]}, {std[0], std[1], std[2]}, bgr};
  if (pixels.device() == Device::cuda) return normalized_when_read({pixels, n}, dtype);
  Tensor y(pixels.shape(), dtype, pixels.device());
  GRAFT_KERNEL(y, normalize, n, pixels.size() / 3, in<uint8_t>(pixels), out<T>(y));
  return y;
}

}  // namespace graft
