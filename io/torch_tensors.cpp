#include "io/torch_tensors.h"

#include <cstring>
#include <vector>

#include "io/source_file.h"

namespace graft {
namespace {

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

// The tensors on one storage.
void load_windows(const Tensor& storage, const Names& windows, const std::string& file,
                  TensorMap& loaded) {
  int64_t copied = 0;
  for (const auto* item : windows) {
    const auto& [name, t] = *item;
    if (is_contiguous(t)) {
      loaded.emplace(name, view_of(storage, t.offset, t.shape));
      continue;
    }
    copied += element_count(t.shape);
    GRAFT_CHECK(copied <= storage.size(),
                "{}: tensor {}: it and others are copies of one storage, more than it has "
                "elements; save them from PyTorch with .contiguous()",
                file, escaped(name));
    loaded.emplace(name, copy_of(storage, t));
  }
}

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
  TensorMap loaded;
  for (const auto& [key, windows] : by_storage) {
    const TorchStorage& storage = windows[0]->second.storage;
    for (const auto* item : windows)
      GRAFT_CHECK(item->second.storage == storage,
                  "{}: tensor {}: has another type or size for its storage {} than {} has", file,
                  escaped(item->first), escaped(key), escaped(windows[0]->first));
    ByteStream bytes = open(storage);
    Tensor elements = read_elements(bytes, *storage.elements, {storage.count});
    load_windows(elements, windows, file, loaded);
  }
  return loaded;
}

}  // namespace graft
