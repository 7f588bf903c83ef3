// Weights that torch.save wrote, in any of its three forms:
//   zip     since PyTorch 1.6: <root>/data.pkl, and each storage in <root>/data/<key>
//   legacy  before: five pickles (magic number, version, machine, object, keys), then the storages
//   tar     before 0.1.10: members sys_info, storages, tensors, pickle
// Nothing of the pickles is run (io/pickle.h); which state dict is read and what is allowed in it,
// io/torch_state.h says. Memory: the tensors and one storage.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/tensor_map.h"

namespace graft {

struct TorchFile {
  TensorMap tensors;
  std::vector<std::string> skipped;  // what else stood there: "epoch (a number)"
  std::map<std::string, std::string> names;  // "fc.bias" -> "module.fc.bias", where they differ
};

// Throws Fault::data for what is damaged, big-endian, TorchScript, or holds no state dict.
TorchFile read_torch_file(const std::filesystem::path& path);

}  // namespace graft
