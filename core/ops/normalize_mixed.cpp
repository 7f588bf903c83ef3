#include "core/dispatch.h"
#include "core/mixed_pixels.h"
#include "kernels/mix.h"

namespace graft {

Tensor normalize_mixed(const Tensor& pixels, const Normalization& n, const PixelMix& mix,
                       DType dtype) {
  GRAFT_CHECK(pixels.rank() == 4 && pixels.dim(3) == 3 &&
                  pixels.size() <= int64_t(INT32_MAX) * pixels.dim(0),
              "normalize_mixed: pixels {} must be (N,H,W,3)", pixels.shape());
  GRAFT_CHECK(mix.partners.shape() == Shape{pixels.dim(0)} && mix.share.size() == 1 &&
                  mix.box.shape() == Shape{4},
              "normalize_mixed: partners {}, share {}, box {} for pixels {}", mix.partners.shape(),
              mix.share.shape(), mix.box.shape(), pixels.shape());
  Tensor y(pixels.shape(), dtype, pixels.device());
  auto problem = [&] {
    return MixProblem{pixels.dim(0),        int(pixels.dim(1)),
                      int(pixels.dim(2)),   in<int32_t>(mix.partners),
                      in<float>(mix.share), in<int32_t>(mix.box)};
  };
  GRAFT_KERNEL(y, normalize_mixed, n, problem(), in<uint8_t>(pixels), out<T>(y));
  return y;
}

}  // namespace graft
