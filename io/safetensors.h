// The safetensors format: u64 header length, JSON header, buffer of little-endian tensors.
// Every rule of the format is checked before any memory is taken: no key twice, ranges that match
// the shapes, no overlap, no hole, nothing after the end.
// Which types are kept, rounded or widened, io/elements.h says; others are refused by name.
#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "io/tensor_map.h"

namespace graft {

using Metadata = std::map<std::string, std::string>;

struct Safetensors {
  TensorMap tensors;
  Metadata metadata;  // the "__metadata__" of the header
};

Safetensors read_safetensors(const std::filesystem::path& path);
void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const Metadata& metadata = {});

}  // namespace graft
