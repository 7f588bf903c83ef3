// Tensors of PyTorch files: windows with strides on storages, which several of them may share.
#pragma once
#include <functional>
#include <map>
#include <string>

#include "core/tensor_map.h"
#include "io/elements.h"

namespace graft {

struct TorchStorage {
  std::string key;  // where the file has it
  const Elements* elements = nullptr;
  int64_t count = 0;  // of elements
  bool operator==(const TorchStorage&) const = default;
};

struct TorchTensor {
  TorchStorage storage;
  int64_t offset = 0;  // in elements, as the strides are
  Shape shape, stride;
};

using TorchTensors = std::map<std::string, TorchTensor>;

// Throws Fault::data, without naming a file, unless the window lies within its storage and has at
// most as many elements.
void check_window(const TorchTensor& tensor);

// The bytes of a storage, `count` elements exactly.
using OpenStorage = std::function<ByteStream(const TorchStorage&)>;

// Reads each storage once and lets go of it before the next. A contiguous tensor is a view of its
// storage. Others are copied; all copies may take 64 MB more than the storages read so far, which
// bounds what a short file can ask for.
// Throws Fault::data with `file` and the tensor's name.
TensorMap load_tensors(const TorchTensors& tensors, const std::string& file,
                       const OpenStorage& open);

}  // namespace graft
