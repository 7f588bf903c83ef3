// Pictures of a data set in the memory of a CUDA device, decoded, where batches are cut from them. What
// does not fit is simply not kept. Transform::only_cuts() must hold.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "core/tensor.h"
#include "io/image.h"
#include "io/sample_cache.h"
#include "kernels/augment.h"

namespace graft {

class DevicePictures {
 public:
  struct Size {
    int width, height;
  };

  DevicePictures(int64_t samples, int64_t bytes) : kept_(samples, bytes) {}

  // From any thread.
  bool has_room() const { return kept_.has_room(); }
  int64_t bytes() const { return kept_.bytes(); }
  std::optional<Size> find(int64_t index) const;  // of a picture that is there

  // By one thread: the picture on the device, (height, width, 3) u8. `decoded` is taken there, and
  // kept if there is room, unless it was there already; it may be null if it was.
  Tensor there(int64_t index, const Image* decoded);

 private:
  SampleCache<Tensor> kept_;
};

// One image of a batch: cut from a picture there, or pixels (size, size, 3) on the processor, which
// pass through pinned memory.
struct BatchPart {
  Tensor picture;
  Cut cut;
  const uint8_t* pixels;
};
// -> (parts, size, size, 3) u8 on the device.
Tensor batch_there(const std::vector<BatchPart>& parts, int size);

}  // namespace graft
