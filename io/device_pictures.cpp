#include "io/device_pictures.h"

#include "core/ops.h"

namespace graft {
namespace {

// Of the parts from `begin` on that lie one behind the other: all cut, or pixels without a gap.
size_t end_of_run(const std::vector<BatchPart>& parts, size_t begin, size_t bytes) {
  size_t end = begin + 1;
  auto follows = [&](const BatchPart& part) {
    const uint8_t* before = parts[end - 1].pixels;
    return part.pixels == (before ? before + bytes : nullptr);
  };
  while (end < parts.size() && follows(parts[end])) ++end;
  return end;
}

}  // namespace

std::optional<DevicePictures::Size> DevicePictures::find(int64_t index) const {
  const std::shared_ptr<const Tensor> kept = kept_.find(index);
  if (!kept) return {};
  return Size{int(kept->dim(1)), int(kept->dim(0))};
}

Tensor DevicePictures::there(int64_t index, const Image* decoded) {
  if (const auto kept = kept_.find(index)) return *kept;
  Tensor picture({decoded->height, decoded->width, 3}, DType::u8, Device::cuda);
  copy_bytes(Device::cuda, picture.mutable_address(), Device::cpu, decoded->rgb.get(), decoded->bytes());
  kept_.offer(index, std::make_shared<const Tensor>(picture));
  return picture;
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
  for (size_t i = 0, end; i < parts.size(); i = end) {
    end = end_of_run(parts, i, bytes);
    const uint8_t* pixels = parts[i].pixels;
    const size_t all = (end - i) * bytes;
    copy_bytes(Device::cuda, to, pixels ? Device::cpu : Device::cuda, pixels ? pixels : next, all);
    to += all;
    if (!pixels) next += all;
  }
  return batch;
}

}  // namespace graft
