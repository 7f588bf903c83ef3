#include "io/device_pictures.h"

#include "core/ops.h"

namespace graft {

bool DevicePictures::has_room() const {
  std::lock_guard lock(mutex_);
  return room_ > 0;
}

std::optional<DevicePictures::Size> DevicePictures::find(int64_t index) const {
  std::lock_guard lock(mutex_);
  const Tensor& kept = kept_[size_t(index)];
  if (!kept.defined()) return {};
  return Size{int(kept.dim(1)), int(kept.dim(0))};
}

Tensor DevicePictures::there(int64_t index, const Image* decoded) {
  Tensor& kept = kept_[size_t(index)];  // this thread alone writes it
  if (kept.defined()) return kept;
  Tensor picture({decoded->height, decoded->width, 3}, DType::u8, Device::cuda);
  copy_bytes(Device::cuda, picture.mutable_address(), Device::cpu, decoded->rgb.get(), decoded->bytes());
  std::lock_guard lock(mutex_);
  const int64_t bytes = int64_t(decoded->bytes());
  if (bytes > room_) {
    room_ = 0;  // full: no more is decoded whole just to be refused
    return picture;
  }
  room_ -= bytes;
  return kept = picture;
}

Tensor batch_there(const std::vector<BatchPart>& parts, int size) {
  std::vector<Tensor> pictures;
  std::vector<Cut> cuts;
  for (const BatchPart& part : parts) {
    if (part.pixels) continue;
    pictures.push_back(part.picture);
    cuts.push_back(part.cut);
  }
  const Tensor cut = cut_pictures(pictures, cuts, size);
  if (cuts.size() == parts.size()) return cut;
  Tensor batch({int64_t(parts.size()), size, size, 3}, DType::u8, Device::cuda);
  const size_t bytes = size_t(size) * size_t(size) * 3;
  auto* to = static_cast<uint8_t*>(batch.mutable_address());
  auto* next = static_cast<const uint8_t*>(cut.address());
  for (const BatchPart& part : parts) {
    copy_bytes(Device::cuda, to, part.pixels ? Device::cpu : Device::cuda, part.pixels ? part.pixels : next,
               bytes);
    to += bytes;
    if (!part.pixels) next += bytes;
  }
  return batch;
}

}  // namespace graft
