// What a file is, told from its first bytes and never from its name, and what to do when it is
// no format that can be read.
#pragma once
#include "io/file.h"

namespace graft {

enum class Content {
  hdf5, safetensors, zip, pickle, gzip, tar, lfs, html, pieces, empty, unknown
};

Content sniff(const InputFile& file);

// Throws Fault::data: what the file is instead of `wanted` ("an HDF5 file"), and what to do.
[[noreturn]] void refuse(Content found, const std::string& file, const char* wanted);

}  // namespace graft
