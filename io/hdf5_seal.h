// Private to io/hdf5_*: the 24 bytes after the end of an HDF5 file that prove it undamaged.
#pragma once
#include "io/file.h"

namespace graft::hdf5 {

void append_seal(AtomicFile& file);

// The length of the HDF5 file before its seal, or the size of the file when there is none.
// Throws Fault::data when the seal is there and does not fit.
int64_t check_seal(const InputFile& file);

}  // namespace graft::hdf5
