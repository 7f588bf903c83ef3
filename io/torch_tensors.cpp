#include "io/torch_tensors.h"

#include <cstring>
#include <vector>

#include "io/source_file.h"

namespace graft {
namespace {

constexpr int64_t kFreeCopies = int64_t(64) << 20;  // bytes

bool is_contiguous(const TorchTensor& t) {
  if (element_count(t.shape) == 0) return true;
  int64_t step = 1;
  for (size_t d = t.shape.size(); d-- > 0;) {
    if (t.shape[d] != 1 && t.stride[d] != step) return false;
    step *= t.shape[d];
  }
  return true;
}

template <class T>
void gather(const T* from, const TorchTensor& t, T* to) {
  std::vector<int64_t> index(t.shape.size(), 0);
  int64_t at = 0;  // of the index, in elements
  for (int64_t i = 0, n = element_count(t.shape); i < n; ++i) {
    to[i] = from[at];
    for (size_t d = index.size(); d-- > 0;) {
      at += t.stride[d];
      if (++index[d] < t.shape[d]) break;
      at -= t.stride[d] * t.shape[d];
      index[d] = 0;
    }
  }
}

Tensor copy_of(const Tensor& storage, const TorchTensor& t) {
  Tensor result(t.shape, storage.dtype());
  size_t bytes = size_of(storage.dtype());
  const char* from = static_cast<const char*>(storage.raw()) + size_t(t.offset) * bytes;
  void* to = result.mutable_raw();
  switch (bytes) {
    case 1:
      gather(reinterpret_cast<const uint8_t*>(from), t, static_cast<uint8_t*>(to));
      break;
    case 2:
      gather(reinterpret_cast<const uint16_t*>(from), t, static_cast<uint16_t*>(to));
      break;
    case 4:
      gather(reinterpret_cast<const uint32_t*>(from), t, static_cast<uint32_t*>(to));
      break;
    default:
      gather(reinterpret_cast<const uint64_t*>(from), t, static_cast<uint64_t*>(to));
  }
  return result;
}

using Names = std::vector<TorchTensors::const_pointer>;

void require_one_storage(const Names& windows, const std::string& file) {
  const TorchStorage& first = windows[0]->second.storage;
  for (const auto* item : windows)
    GRAFT_CHECK(item->second.storage == first,
                "{}: tensor {}: has another type or size for its storage {} than {} has", file,
                escaped(item->first), escaped(first.key), escaped(windows[0]->first));
}

class StorageLoader {
 public:
  StorageLoader(const std::string& file, const OpenStorage& open) : file_(file), open_(open) {}

  void load(const Names& windows) {  // those of one storage
    require_one_storage(windows, file_);
    const TorchStorage& storage = windows[0]->second.storage;
    ByteStream bytes = open_(storage);
    Tensor elements = read_elements(bytes, *storage.elements, {storage.count});
    allowed_ += int64_t(elements.bytes());
    for (const auto* item : windows) {
      const auto& [name, t] = *item;
      Tensor loaded =
          is_contiguous(t) ? view_of(elements, t.offset, t.shape) : copy(elements, *item);
      tensors.emplace(name, std::move(loaded));
    }
  }

  TensorMap tensors;

 private:
  Tensor copy(const Tensor& storage, TorchTensors::const_reference item) {
    const auto& [name, t] = item;
    allowed_ -= element_count(t.shape) * int64_t(size_of(storage.dtype()));
    GRAFT_CHECK(allowed_ >= 0,
                "{}: tensor {}: it and others before it are copies of storages, and larger than "
                "those; save them from PyTorch with .contiguous()",
                file_, escaped(name));
    return copy_of(storage, t);
  }

  const std::string& file_;
  const OpenStorage& open_;
  int64_t allowed_ = kFreeCopies;  // bytes that may still be copied
};

}  // namespace

void check_window(const TorchTensor& t) {
  using Wide = __int128;
  GRAFT_CHECK(t.shape.size() == t.stride.size(), "shape {} and strides {} do not fit", t.shape,
              t.stride);
  Wide last = t.offset;  // the last element
  bool sound = t.offset >= 0 && t.offset <= t.storage.count;
  for (size_t d = 0; d < t.shape.size(); ++d) {
    sound = sound && t.shape[d] >= 0 && t.stride[d] >= 0;
    if (t.shape[d] <= 1) continue;
    sound = sound && t.shape[d] <= t.storage.count && t.stride[d] <= t.storage.count;
    if (sound) last += Wide(t.shape[d] - 1) * t.stride[d];
  }
  bool inside = sound && element_count(t.shape) <= t.storage.count &&
                (element_count(t.shape) == 0 || last < t.storage.count);
  GRAFT_CHECK(inside, "offset {}, shape {} and strides {} reach out of its storage of {} elements",
              t.offset, t.shape, t.stride, t.storage.count);
}

TensorMap load_tensors(const TorchTensors& tensors, const std::string& file,
                       const OpenStorage& open) {
  std::map<std::string, Names> by_storage;
  for (const auto& item : tensors) by_storage[item.second.storage.key].push_back(&item);
  StorageLoader loader(file, open);
  for (const auto& [key, windows] : by_storage) loader.load(windows);
  return std::move(loader.tensors);
}

}  // namespace graft
