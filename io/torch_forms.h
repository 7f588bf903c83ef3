// The three forms of torch_file.h, each in a file of its own.
#pragma once
#include "io/torch_file.h"

namespace graft {

TorchFile read_torch_zip(const std::filesystem::path& path);
TorchFile read_torch_legacy(const std::filesystem::path& path);
TorchFile read_torch_tar(const std::filesystem::path& path);

}  // namespace graft
