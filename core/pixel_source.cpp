#include "core/pixel_source.h"

#include "core/autograd.h"
#include "core/dispatch.h"

namespace graft {

Tensor normalized_when_read(const PixelSource& source, DType dtype) {
  Tensor y(source.pixels.shape(), dtype, Device::cuda);
  Storage& storage = *y.impl()->storage;
  storage.can_be_made([source, dtype]([[maybe_unused]] void* values) {
    const KernelScope scope(Device::cuda);
    [[maybe_unused]] const Tensor& pixels = source.pixels;
    if constexpr (kWithCuda)
      with_float_type(dtype, [&]<class T>() {
        cuda::normalize(source.normalization, pixels.size() / 3, in<uint8_t>(pixels),
                        static_cast<T*>(values), stream());
      });
  });
  storage.known = source;
  return y;
}

const PixelSource* pixel_source(const Tensor& x) { return known_of<PixelSource>(x); }

}  // namespace graft
