#include "core/dispatch.h"
#include "core/ops.h"
#include "core/staging.h"

namespace graft {

Tensor cut_pictures(const std::vector<Tensor>& pictures, std::vector<Cut> cuts, int size) {
  GRAFT_CHECK(pictures.size() == cuts.size(), "cut_pictures: {} pictures, {} cuts", pictures.size(),
              cuts.size());
  const KernelScope scope(Device::cuda);
  for (size_t i = 0; i < cuts.size(); ++i) {
    const Tensor& picture = pictures[i];
    const Cut& cut = cuts[i];
    GRAFT_CHECK(picture.rank() == 3 && picture.dim(2) == 3 && cut.from_x >= 0 && cut.from_y >= 0 &&
                    cut.from_x + cut.from_width <= picture.dim(1) &&
                    cut.from_y + cut.from_height <= picture.dim(0),
                "cut_pictures: {} x {} pixels from ({}, {}) on of a picture {}", cut.from_width,
                cut.from_height, cut.from_x, cut.from_y, picture.shape());
    cuts[i].rgb = in<uint8_t>(picture);
    cuts[i].stride = picture.dim(1) * 3;
  }
  Tensor y({int64_t(cuts.size()), size, size, 3}, DType::u8, Device::cuda);
  if constexpr (kWithCuda) {
    const size_t bytes = cuts.size() * sizeof(Cut);
    const cuda::Scratch on_device(bytes, stream());
    copy_staged(on_device.data(), cuts.data(), bytes);
    cuda::resize(int64_t(cuts.size()), cuts.data(), on_device.data<Cut>(), size, out<uint8_t>(y),
                 stream());
  }
  return y;
}

}  // namespace graft
