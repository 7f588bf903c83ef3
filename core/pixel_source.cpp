#include "core/pixel_source.h"

#include "core/autograd.h"
#include "core/dispatch.h"

namespace graft {

Tensor normalized_when_read(PixelSource source, DType dtype) {
  const auto shared = std::make_shared<const PixelSource>(std::move(source));
  Tensor y(shared->pixels.shape(), dtype, Device::cuda);
  Storage& storage = *y.impl()->storage;
  storage.can_be_made([shared, dtype]([[maybe_unused]] void* values) {
    const KernelScope scope(Device::cuda);
    [[maybe_unused]] const Tensor& pixels = shared->pixels;
    if constexpr (kWithCuda)
      with_float_type(dtype, [&]<class T>() {
        cuda::normalize(shared->normalization, pixels.size() / 3, in<uint8_t>(pixels), static_cast<T*>(values),
                        stream());
      });
  });
  storage.made_of = shared;
  return y;
}

const PixelSource* pixel_source(const Tensor& x) {
  return x.owns_storage() ? x.impl()->storage->made_of.get() : nullptr;
}

}  // namespace graft
